/** How a live list is shown on stderr: data goes to stdout. */
import { ListrLogger, ProcessOutput } from 'listr2';

/** Options of a `Listr`. One list, one logger. */
export function stderrList() {
  return {
    exitOnError: false,
    // The program that shows the list decides what Ctrl-C means.
    registerSignalListeners: false,
    rendererOptions: {
      logger: new ListrLogger({
        useIcons: true,
        toStderr: [],
        processOutput: new ProcessOutput(process.stderr, process.stderr),
      }),
    },
    fallbackRendererCondition: false,
  } as const;
}
