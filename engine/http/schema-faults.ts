/**
 * Says what is wrong with a body that its schema refused: where (a JSON pointer, RFC 6901), what is
 * right, and what was sent instead. Runs only on refused bodies. It walks the part of JSON Schema
 * that our schemas use; a property test holds it to the compiled check's verdict.
 */
import type { JsonValue } from './json.ts';
import type { ProblemError } from './problem.ts';

/** The keywords that our schemas use. `x-expected` says in words what a value must be. */
export interface FaultSchema {
  readonly type?: string;
  readonly anyOf?: readonly FaultSchema[];
  readonly properties?: Readonly<Record<string, FaultSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | FaultSchema;
  readonly propertyNames?: FaultSchema;
  readonly maxProperties?: number;
  readonly items?: FaultSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly 'x-expected'?: string;
}

/** Enough to mend a body, and a bound on the answer. */
export const FAULTS_MAX = 10;

export function findFaults(schema: FaultSchema, value: JsonValue): readonly ProblemError[] {
  const faults: ProblemError[] = [];
  walk(schema, value, '', faults);
  return faults.slice(0, FAULTS_MAX);
}

function walk(schema: FaultSchema, value: JsonValue, pointer: string, out: ProblemError[]): void {
  if (out.length >= FAULTS_MAX) return;
  if (schema.anyOf !== undefined) {
    // The alternatives differ in type, so at most one can be meant.
    const meant = schema.anyOf.find((each) => hasType(each, value));
    if (meant === undefined) out.push(notExpected(schema, value, pointer));
    else walk({ ...meant, ...named(schema, meant) }, value, pointer, out);
  } else if (!hasType(schema, value)) {
    out.push(notExpected(schema, value, pointer));
  } else if (Array.isArray(value)) {
    walkArray(schema, value, pointer, out);
  } else if (isObject(value)) {
    walkObject(schema, value, pointer, out);
  } else if (!isWithin(schema, value)) {
    out.push(notExpected(schema, value, pointer));
  }
}

/** A scalar is described by the whole choice, a list or an object by its own alternative. */
function named(schema: FaultSchema, meant: FaultSchema): Pick<FaultSchema, 'x-expected'> {
  const words = schema['x-expected'];
  const isScalar = meant.type !== 'array' && meant.type !== 'object';
  return isScalar && words !== undefined ? { 'x-expected': words } : {};
}

function walkArray(
  schema: FaultSchema,
  value: readonly JsonValue[],
  pointer: string,
  out: ProblemError[],
): void {
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema;
  if (value.length < minItems || value.length > maxItems) {
    const count = `not ${value.length}`;
    out.push({ pointer, message: `must have ${minItems} to ${maxItems} elements, ${count}` });
    return;
  }
  if (schema.items === undefined) return;
  for (const [index, element] of value.entries()) {
    walk(schema.items, element, `${pointer}/${index}`, out);
  }
}

function walkObject(
  schema: FaultSchema,
  value: Readonly<Record<string, JsonValue>>,
  pointer: string,
  out: ProblemError[],
): void {
  const { properties = {}, required = [], maxProperties = Number.POSITIVE_INFINITY } = schema;
  for (const name of required) {
    if (Object.hasOwn(value, name)) continue;
    out.push({
      pointer: `${pointer}/${name}`,
      message: `is missing; it is ${expected(properties[name])}`,
    });
  }
  const names = Object.keys(value);
  if (names.length > maxProperties) {
    out.push({
      pointer,
      message: `must have at most ${maxProperties} fields, not ${names.length}`,
    });
    return;
  }
  for (const name of names) {
    const inner = Object.hasOwn(properties, name) ? properties[name] : schema.additionalProperties;
    const at = `${pointer}/${escapePointer(name)}`;
    const { propertyNames } = schema;
    if (propertyNames !== undefined && !isWithin(propertyNames, name)) {
      out.push({ pointer: at, message: `has a name that is not ${expected(propertyNames)}` });
    }
    if (typeof inner === 'object') walk(inner, value[name] ?? null, at, out);
    else if (inner === false) out.push({ pointer: at, message: unknownField(properties) });
  }
}

function unknownField(properties: Readonly<Record<string, FaultSchema>>): string {
  return `is not a field here; the fields are ${Object.keys(properties).join(', ')}`;
}

function hasType(schema: FaultSchema, value: JsonValue): boolean {
  if (schema.anyOf !== undefined) return schema.anyOf.some((each) => hasType(each, value));
  switch (schema.type) {
    case 'object':
      return isObject(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    // JSON.parse makes Infinity of 1e999.
    case 'number':
      return Number.isFinite(value);
    case 'null':
      return value === null;
    case undefined:
      return true;
    default:
      return typeof value === schema.type;
  }
}

function isObject(value: JsonValue): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isWithin(schema: FaultSchema, value: JsonValue): boolean {
  if (schema.enum !== undefined) return typeof value === 'string' && schema.enum.includes(value);
  if (typeof value === 'number') {
    const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = schema;
    return value >= minimum && value <= maximum;
  }
  if (typeof value !== 'string') return true;
  const length = Array.from(value).length;
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern } = schema;
  if (length < minLength || length > maxLength) return false;
  return pattern === undefined || new RegExp(pattern, 'u').test(value);
}

function notExpected(schema: FaultSchema, value: JsonValue, pointer: string): ProblemError {
  return { pointer, message: `must be ${expected(schema)}, not ${show(value)}` };
}

/** In words, as the end of "it must be". */
function expected(schema: FaultSchema | undefined): string {
  if (schema === undefined) return 'a value';
  const words = schema['x-expected'];
  if (words !== undefined) return words;
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`;
  if (schema.anyOf !== undefined) return schema.anyOf.map(expected).join(', or ');
  switch (schema.type) {
    case 'integer':
    case 'number':
      return `${schema.type === 'integer' ? 'an integer' : 'a number'}${range(schema)}`;
    case 'string':
      return `a string of ${schema.minLength ?? 0} to ${schema.maxLength ?? 'any number of'} characters`;
    case 'boolean':
      return 'true or false';
    case 'null':
      return 'null';
    default:
      return `an ${schema.type}`;
  }
}

function range({ minimum, maximum }: FaultSchema): string {
  if (minimum === undefined || maximum === undefined) return '';
  return ` from ${minimum} to ${maximum}`;
}

const SHOWN_CHARACTERS_MAX = 40;

/** The value as it was sent, cut short. */
function show(value: JsonValue): string {
  if (Array.isArray(value)) return 'an array';
  if (isObject(value)) return 'an object';
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value);
  const cut = Array.from(text).slice(0, SHOWN_CHARACTERS_MAX).join('');
  return cut.length < text.length ? `${cut}... (${text.length} characters)` : cut;
}

function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
