/** Values spelled in SQL, for what takes no parameters: a script, and EXECUTE. */

export type Value = number | bigint | Uint8Array | string | undefined;

export function literal(value: Value): string {
  if (value === undefined) return 'NULL';
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no whole number`);
    return String(value);
  }
  if (typeof value === 'string') {
    // Of a long text it is sooner known that there is nothing to escape.
    const isPlain = !(value.includes("'") || value.includes('\\'));
    return isPlain ? `'${value}'` : `E'${value.replace(/[\\']/g, (each) => `\\${each}`)}'`;
  }
  return `E'\\\\x${Buffer.from(value).toString('hex')}'`;
}

/** `$1` and so on spelled out. */
export function spellOut(sql: string, values: readonly Value[]): string {
  return sql.replace(/\$(\d+)/g, (_, place: string) => literal(values[Number(place) - 1]));
}
