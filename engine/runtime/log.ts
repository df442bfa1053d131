/** The process's log: JSON lines on stderr, so that stdout stays for data. */
import { type Logger, pino } from 'pino';

export type { Logger } from 'pino';

export function createLogger(role: string, level: string): Logger {
  return pino({ name: 'holdfast', level, base: { role, pid: process.pid } }, pino.destination(2));
}
