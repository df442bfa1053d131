// Request bodies as JSON: parsed strictly, refused with the place of the fault.
//
// JSON.parse decides what is JSON; the scanner in json-fault.ts only says where it is not, because
// the engine's own message changes between Node versions and often has no position.

import type { Exchange } from './exchange.ts';
import { findJsonFault, locate } from './json-fault.ts';
import type { ProblemDetails } from './problem.ts';
import { TRANSPORT_PROBLEMS } from './problem.ts';
import { decodeUtf8 } from './utf8.ts';

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

export type JsonOutcome =
  | { readonly kind: 'value'; readonly value: JsonValue }
  | {
      readonly kind: 'malformed_json' | 'malformed_request';
      readonly details: ProblemDetails;
    };

/** Deep enough for every body of ours (4 levels); a bound, because schemas recurse over values. */
export const JSON_DEPTH_MAX = 16;

/**
 * The body of `exchange` as JSON, or undefined when it was not acceptable and the exchange was
 * answered with the 400 that says why. (JSON has no undefined, so the two cannot be confused.)
 */
export function parseJsonBody(exchange: Exchange): JsonValue | undefined {
  const outcome = parseText(exchange.text, JSON_DEPTH_MAX);
  if (outcome.kind === 'value') return outcome.value;
  exchange.problem(TRANSPORT_PROBLEMS[outcome.kind], outcome.details);
  return undefined;
}

/** RFC 8259, in UTF-8, without a byte order mark; at most `depthMax` levels; no `__proto__` key. */
export function parseJson(bytes: Buffer, depthMax: number = JSON_DEPTH_MAX): JsonOutcome {
  return parseText(decodeUtf8(bytes), depthMax);
}

/** `text` undefined: it was not UTF-8. */
function parseText(text: string | undefined, depthMax: number): JsonOutcome {
  if (text === undefined) return malformed('The body is not valid UTF-8; send JSON in UTF-8.');
  if (text === '') return malformed('The body is empty; send a JSON document.');
  const tooDeepAt = findDepthOver(text, depthMax);
  if (tooDeepAt !== undefined) {
    return {
      kind: 'malformed_request',
      details: at(text, tooDeepAt, `The body is nested deeper than ${depthMax} levels`),
    };
  }
  let value: JsonValue;
  try {
    value = JSON.parse(text);
  } catch {
    const fault = findJsonFault(text);
    return fault === undefined
      ? malformed('The body is not JSON.')
      : { kind: 'malformed_json', details: at(text, fault.offset, fault.message) };
  }
  // An escape could spell the key, so that its text alone does not show whether it is there.
  if ((text.includes('__proto__') || text.includes('\\u')) && hasProtoKey(value)) {
    return {
      kind: 'malformed_request',
      details: { detail: `The body has a key '__proto__', which is never accepted.` },
    };
  }
  return { kind: 'value', value };
}

function malformed(detail: string): JsonOutcome {
  return { kind: 'malformed_json', details: { detail } };
}

function at(text: string, offset: number, message: string): ProblemDetails {
  const position = locate(text, offset);
  return {
    detail: `${message} at line ${position.line}, column ${position.column}.`,
    extensions: { position },
  };
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Where the text first opens an array or object beyond `depthMax`; strings are skipped. */
function findDepthOver(text: string, depthMax: number): number | undefined {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (inString) {
      if (unit === BACKSLASH) index += 1;
      else if (unit === QUOTE) inString = false;
    } else if (unit === QUOTE) {
      inString = true;
    } else if (unit === 0x5b || unit === 0x7b) {
      depth += 1;
      if (depth > depthMax) return index;
    } else if (unit === 0x5d || unit === 0x7d) {
      depth -= 1;
    }
  }
  return undefined;
}

/** Recursion is safe here: the depth has been bounded. */
function hasProtoKey(value: JsonValue): boolean {
  if (value === null || typeof value !== 'object') return false;
  return (
    Object.hasOwn(value, '__proto__') || Object.values(value).some((inner) => hasProtoKey(inner))
  );
}
