/** Tables of the report. */
import CliTable from 'cli-table3';

export function table(head: string[], rows: string[][]): string {
  const drawn = new CliTable({ head, style: { head: [], border: [], compact: true } });
  drawn.push(...rows);
  return drawn.toString();
}
