/**
 * Which durability level an answer waits for: the request's, else that of the SKUs' classes, else
 * the deployment's. Data in, data out.
 *
 * A cart, or a reservation with several SKUs, takes the strongest of its lines: it is one entry of
 * the log and one answer, so whoever needs less has nothing to gain, and who needs more must not be
 * given less because a cheaper SKU lies beside it.
 */
import type {
  ClassLevels,
  DurabilityLevel,
  DurableVerb,
  LevelLacks,
  LevelTable,
} from '../domain/durability.ts';
import { DURABLE_VERBS, stronger } from '../domain/durability.ts';
import type { Sku } from '../domain/ids.ts';

export interface LevelPolicy {
  /** The deployment's. */
  readonly levels: LevelTable;
  /** Of each class that the deployment has levels for, complete. */
  readonly classLevels: ReadonlyMap<string, LevelTable>;
  /** The class of a SKU, where it has one that has levels. */
  readonly classOf: (sku: Sku) => string | undefined;
  /** Levels that this deployment cannot give. */
  readonly lacks: LevelLacks;
}

/** `skus` undefined: they are not known (a tombstone has no lines), so the strongest of all counts. */
export function usualLevel(
  verb: DurableVerb,
  skus: readonly { readonly sku: Sku }[] | undefined,
  { levels, classLevels, classOf }: LevelPolicy,
): DurabilityLevel {
  if (classLevels.size === 0) return levels[verb];
  if (skus === undefined || skus.length === 0) {
    const tables = [...classLevels.values()];
    return tables.reduce((level, table) => stronger(level, table[verb]), levels[verb]);
  }
  return skus
    .map(({ sku }) => (classLevels.get(classOf(sku) ?? '') ?? levels)[verb])
    .reduce(stronger);
}

export interface LevelSettings {
  /** Undefined: by what the deployment has. */
  readonly reserve: DurabilityLevel | undefined;
  readonly commit: DurabilityLevel;
  readonly stock: DurabilityLevel;
  readonly classes: ReadonlyMap<string, ClassLevels>;
}

/** The tables of a deployment, or every setting that asks for what it cannot give. */
export function resolveLevels(
  settings: LevelSettings,
  lacks: LevelLacks,
):
  | { readonly levels: LevelTable; readonly classLevels: ReadonlyMap<string, LevelTable> }
  | { readonly faults: readonly string[] } {
  const { commit, stock, classes } = settings;
  // A hold is a promise of minutes: one node may be lost with it where there is a second one.
  const reserve = settings.reserve ?? (lacks.replicated === undefined ? 'replicated' : 'memory');
  const given: LevelTable = {
    ...{ reserve, extend: reserve, release: 'memory' },
    ...{ commit, cancel: commit, ship: commit, stock },
  };
  const faults = [
    ...faultsOf('HOLDFAST_RESERVE_DURABILITY', { reserve }, lacks),
    ...faultsOf('HOLDFAST_COMMIT_DURABILITY', { commit }, lacks),
    ...faultsOf('HOLDFAST_STOCK_DURABILITY', { stock }, lacks),
    ...[...classes].flatMap(([name, table]) =>
      faultsOf(`HOLDFAST_DURABILITY_CLASSES, class ${name}`, table, lacks),
    ),
  ];
  if (faults.length > 0) return { faults };
  return {
    levels: Object.freeze(given),
    classLevels: new Map([...classes].map(([name, own]) => [name, complete(own, given)])),
  };
}

function faultsOf(where: string, table: ClassLevels, lacks: LevelLacks): string[] {
  return DURABLE_VERBS.flatMap((verb) => {
    const level = table[verb];
    const lack = level === undefined ? undefined : lacks[level];
    return lack === undefined ? [] : [`${where} (${verb}): ${lack}`];
  });
}

/** As for the deployment: an extension goes with its reserve, cancel and ship go with the commit. */
function complete(own: ClassLevels, usual: LevelTable): LevelTable {
  return Object.freeze({
    ...usual,
    ...(own.reserve !== undefined && { extend: own.reserve }),
    ...(own.commit !== undefined && { cancel: own.commit, ship: own.commit }),
    ...own,
  });
}
