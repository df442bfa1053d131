/** Places of the log on the channels of a lane: `<level> <epoch> <seq>`. */
import type { Redis } from 'ioredis';

export interface PlaceMessage {
  readonly level: string;
  readonly epoch: number;
  readonly seq: number;
}

export function showPlaceMessage({ level, epoch, seq }: PlaceMessage): string {
  return `${level} ${epoch} ${seq}`;
}

/** What is no number in it is NaN. */
export function readPlaceMessage(text: string): PlaceMessage {
  const [level = '', epoch, seq] = text.split(' ');
  return { level, epoch: Number(epoch), seq: Number(seq) };
}

/** Gives each message of the channel to `hear`; the result ends it. */
export function listen(
  subscriber: Redis,
  channel: string,
  hear: (message: PlaceMessage) => void,
): () => void {
  // A demand and a watermark look the same: one taken for the other would be a false promise.
  const onMessage = (from: string, message: string): void => {
    if (from === channel) hear(readPlaceMessage(message));
  };
  const subscribe = (): void => {
    subscriber.subscribe(channel).catch(ignoreUntilNextReady);
  };
  subscriber.on('message', onMessage);
  subscriber.on('ready', subscribe);
  if (subscriber.status === 'ready') subscribe();
  return () => {
    subscriber.off('message', onMessage);
    subscriber.off('ready', subscribe);
  };
}

/** A subscription that failed is made again when the connection is ready again. */
function ignoreUntilNextReady(): void {}
