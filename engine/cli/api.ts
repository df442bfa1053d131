/** Calls a running engine for the commands that try things by hand. */

export const DEFAULT_URL = 'http://127.0.0.1:7070';
const TIMEOUT_MS = 15_000;

/** A command that cannot go on; the message is all that is shown. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What the commands exit with; `--help` says the same. */
export const EXIT = { refused: 1, usage: 2, unavailable: 3 } as const;

export interface ApiReply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

export async function callApi(
  url: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<ApiReply> {
  let response: Response;
  try {
    response = await fetch(new URL(path, url), {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    throw new CommandError(
      `No engine answers at ${url} (${reason(error)}). Start one: npx holdfast dev`,
      EXIT.unavailable,
    );
  }
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: parse(text) };
}

function reason(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error ? cause.message : String(cause);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Prints the answer as JSON on stdout; a refusal sets the exit code. */
export function printReply(reply: ApiReply): void {
  process.stdout.write(`${JSON.stringify(reply.body, null, 2)}\n`);
  if (reply.headers.get('idempotent-replayed') === 'true') {
    process.stderr.write('(a repeat: this shows the reservation as it now is)\n');
  }
  if (reply.status >= 500) process.exitCode = EXIT.unavailable;
  else if (reply.status >= 400) process.exitCode = EXIT.refused;
}
