/**
 * Loaded before a child process's own code (`node --import`): each connection that it opens leaves
 * from the address that HOLDFAST_FAULT_LOCAL_ADDRESS names, so that the fault network knows it also
 * before Kafka and PostgreSQL, whose clients have no setting for it.
 */
import { Socket } from 'node:net';

const localAddress = process.env.HOLDFAST_FAULT_LOCAL_ADDRESS;

if (localAddress !== undefined && localAddress !== '') {
  const connect: unknown = Reflect.get(Socket.prototype, 'connect');
  if (typeof connect !== 'function') throw new Error('sockets of this Node cannot connect');
  const bound = function (this: Socket, ...args: unknown[]): unknown {
    return Reflect.apply(connect, this, addressed(args, localAddress));
  };
  Object.defineProperty(Socket.prototype, 'connect', { value: bound, writable: true });
}

/** `connect(options)`, `connect(port, host)`, and the list that `net.connect` makes of either. */
function addressed(args: unknown[], address: string): unknown[] {
  const [first, second] = args;
  const inner: unknown = Array.isArray(first) ? first[0] : first;
  if (typeof inner === 'object' && inner !== null && 'port' in inner) {
    Object.assign(inner, { localAddress: address });
    return args;
  }
  if (Number.isInteger(Number(first)) && !Array.isArray(first)) {
    const host = typeof second === 'string' ? second : '127.0.0.1';
    const rest = args.filter((each) => typeof each === 'function');
    return [{ port: Number(first), host, localAddress: address }, ...rest];
  }
  return args;
}
