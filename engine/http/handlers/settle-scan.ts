/**
 * The usual body of a settlement in one pass over its text: it names a reservation and nothing else.
 * JSON.parse, the schema and what is around them take four times as long (reservations/README.md).
 *
 * It decides nothing, as reserve-scan.ts: what it does not know it leaves to them. A property test
 * compares the two over random bodies.
 */

/** An id has no character that JSON escapes (../schema.ts: ID_TEXT). */
const USUAL =
  /^[ \t\n\r]*\{[ \t\n\r]*"reservation_id"[ \t\n\r]*:[ \t\n\r]*"([A-Za-z0-9._:-]{1,64})"[ \t\n\r]*\}[ \t\n\r]*$/;

/** The body, or undefined: then JSON.parse and the schema have to say what it is. */
export function scanSettle(text: string): { readonly reservation_id: string } | undefined {
  const id = USUAL.exec(text)?.[1];
  return id === undefined ? undefined : { reservation_id: id };
}
