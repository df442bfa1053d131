/**
 * The OpenAPI 3.1 document: built of the schemas that check the bodies, the outcome table and the
 * rows of openapi-paths.ts. `openapi.json` is this, committed; a test compares the two.
 */
import { writeFileSync } from 'node:fs';
import type { TSchema } from 'typebox';
import type { JsonValue } from './json.ts';
import type { AnswerName, OperationRow } from './openapi-paths.ts';
import { BODIES, OPERATIONS } from './openapi-paths.ts';
import { outcomeProblem } from './outcome-problem.ts';
import type { ProblemRow, TransportProblemCode } from './problem.ts';
import { PROBLEM_CONTENT_TYPE, TRANSPORT_PROBLEMS } from './problem.ts';
import {
  availabilitiesAnswer,
  availabilityAnswer,
  healthAnswer,
  movementAnswer,
  problemAnswer,
  problemPageAnswer,
  problemPagesAnswer,
  productAnswer,
  readinessAnswer,
  reservationAnswer,
  warehouseAnswer,
} from './schema-answers.ts';

type Json = Readonly<Record<string, unknown>>;

const ANSWERS: Readonly<Record<AnswerName, TSchema>> = {
  Reservation: reservationAnswer,
  Availability: availabilityAnswer,
  Availabilities: availabilitiesAnswer,
  Movement: movementAnswer,
  Product: productAnswer,
  Warehouse: warehouseAnswer,
  Health: healthAnswer,
  Readiness: readinessAnswer,
  ProblemPage: problemPageAnswer,
  ProblemPages: problemPagesAnswer,
};

/** Of every operation that takes a body. */
const BODY_PROBLEMS: readonly TransportProblemCode[] = [
  'malformed_json',
  'malformed_request',
  'body_too_large',
  'unsupported_media_type',
];

export function openApiDocument(): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const row of OPERATIONS) {
    paths[row.path] = { ...paths[row.path], [row.method.toLowerCase()]: operationOf(row) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast',
      version: '1.0.0',
      summary: 'Inventory reservations that never oversell',
      description:
        'Errors are RFC 9457 problems; /problems says what each code means. Ids are 1 to 64 ' +
        'characters of A-Z a-z 0-9 . _ : - and may be sent as JSON integers.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The engine that served this document' }],
    security: [],
    tags: [
      { name: 'reservations', description: 'Hold units, and settle what was held' },
      { name: 'stock', description: 'What is sold, where it stands, and how it moves' },
      { name: 'service', description: 'The engine itself' },
    ],
    paths,
    components: {
      parameters: PARAMETERS,
      headers: HEADERS,
      schemas: { ...BODIES, ...ANSWERS, Problem: problemAnswer },
    },
  };
}

/** For `npm run generate`: writes the document where it is committed. */
export function writeOpenApi(path: string): void {
  writeFileSync(path, openApiText());
}

export function openApiText(): string {
  // A round trip, because the schemas carry members that are not JSON.
  return `${format(JSON.parse(JSON.stringify(openApiDocument())), '')}\n`;
}

const LINE_COLUMNS_MAX = 100;

/** As the formatter of this project would: short lists of plain values stay on their line. */
function format(value: JsonValue, indent: string): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    const items = value.map((item) => format(item, inner));
    const line = `[${items.join(', ')}]`;
    const isPlain = value.every((item) => typeof item !== 'object' || item === null);
    if (isPlain && inner.length + line.length <= LINE_COLUMNS_MAX) return line;
    return `[\n${items.map((item) => inner + item).join(',\n')}\n${indent}]`;
  }
  const members = Object.entries(value).map(
    ([name, member]) => `${inner}${JSON.stringify(name)}: ${format(member, inner)}`,
  );
  return members.length === 0 ? '{}' : `{\n${members.join(',\n')}\n${indent}}`;
}

function operationOf(row: OperationRow): Json {
  const parameters = parametersOf(row);
  return {
    operationId: row.id,
    tags: [row.tag],
    summary: row.summary,
    ...(row.description === undefined ? {} : { description: row.description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(row.bodies === undefined ? {} : { requestBody: requestBodyOf(row) }),
    responses: responsesOf(row),
  };
}

function parametersOf(row: OperationRow): Json[] {
  const names = [...row.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  return [
    ...names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    ...(row.prefer === true ? [ref('parameters', 'Prefer')] : []),
    ...(row.key === undefined ? [] : [ref('parameters', 'IdempotencyKey')]),
  ];
}

function requestBodyOf({ bodies = [], example }: OperationRow): Json {
  const refs = bodies.map((name) => ref('schemas', name));
  const schema = refs.length === 1 ? refs[0] : { oneOf: refs };
  return { required: true, content: { 'application/json': { schema, example } } };
}

function responsesOf(row: OperationRow): Json {
  const responses: Record<string, Json> = {};
  for (const [status, answer] of Object.entries(row.answers)) {
    responses[status] = successOf(row, Number(status), answer);
  }
  for (const [status, rows] of groupByStatus(problemsOf(row))) {
    responses[status] = {
      description: rows.map(({ code, title }) => `${code}: ${title}.`).join(' '),
      ...(rows.some((each) => each.status === 503) ? { headers: headersOf('Retry-After') } : {}),
      content: { [PROBLEM_CONTENT_TYPE]: { schema: ref('schemas', 'Problem') } },
    };
  }
  return responses;
}

function successOf(row: OperationRow, status: number, answer: AnswerName | 'text' | 'json'): Json {
  const content =
    answer === 'text'
      ? { 'text/plain': { schema: { type: 'string' } } }
      : { 'application/json': { schema: answer === 'json' ? {} : ref('schemas', answer) } };
  const headers = [
    ...(status === 200 && row.tag !== 'service' && row.method === 'POST' && row.prefer === true
      ? ['Idempotent-Replayed']
      : []),
    ...(row.prefer === true ? ['Preference-Applied'] : []),
    ...(row.mayBeStale === true ? ['Age'] : []),
  ];
  return {
    description: describe(row, status),
    ...(headers.length === 0 ? {} : { headers: headersOf(...headers) }),
    content,
  };
}

function describe(row: OperationRow, status: number): string {
  if (status === 201) return row.method === 'PUT' ? 'Made.' : 'Reserved.';
  if (status === 503) return 'Not ready: the checks say what is wrong.';
  if (row.id === 'reserve') return 'A repeat: the reservation as it now is.';
  return row.method === 'PUT' ? 'Replaced.' : 'Done.';
}

function problemsOf(row: OperationRow): ProblemRow[] {
  const outcomes = row.refusals.map(outcomeProblem);
  const ofBody = row.bodies === undefined ? [] : BODY_PROBLEMS;
  const ofPage: readonly TransportProblemCode[] =
    row.id === 'getProblem' ? ['route_not_found'] : [];
  return [...outcomes, ...[...ofBody, ...ofPage].map((code) => TRANSPORT_PROBLEMS[code])];
}

function groupByStatus(rows: readonly ProblemRow[]): [string, ProblemRow[]][] {
  const groups = new Map<string, ProblemRow[]>();
  for (const row of rows) {
    const status = String(row.status);
    groups.set(status, [...(groups.get(status) ?? []), row]);
  }
  return [...groups].sort(([a], [b]) => Number(a) - Number(b));
}

function ref(kind: 'parameters' | 'headers' | 'schemas', name: string): Json {
  return { $ref: `#/components/${kind}/${name}` };
}

function headersOf(...names: readonly string[]): Json {
  return Object.fromEntries(names.map((name) => [name, ref('headers', name)]));
}

const PARAMETERS: Readonly<Record<string, Json>> = {
  Prefer: {
    name: 'Prefer',
    in: 'header',
    description:
      'durability=memory, replicated, fsync, logged or persisted: what the answer must be sure to ' +
      "survive. It goes before the levels of the products' classes and of the deployment, which " +
      'count without it; the answer names the one that it has. A level that the deployment cannot ' +
      'give is refused with durability_unavailable, an unknown one with invalid_request.',
    schema: { type: 'string' },
    example: 'durability=persisted',
  },
  IdempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    description:
      'Names the request, so that it may be sent again: 1 to 255 printable ASCII characters. ' +
      'A release, cancel or ship needs it when it names lines.',
    schema: { type: 'string', minLength: 1, maxLength: 255 },
  },
};

const HEADERS: Readonly<Record<string, Json>> = {
  Age: {
    description:
      'Seconds since as_of, when the answer is stale: it comes from PostgreSQL, because the lane ' +
      'is closed or Redis is away. Absent: it is of this moment.',
    schema: { type: 'integer' },
  },
  'Idempotent-Replayed': {
    description: 'true: the request had been applied before.',
    schema: { type: 'string', enum: ['true'] },
  },
  'Preference-Applied': {
    description: 'The preferred durability, when Prefer named one (RFC 7240).',
    schema: { type: 'string' },
  },
  'Retry-After': { description: 'Seconds.', schema: { type: 'integer' } },
};
