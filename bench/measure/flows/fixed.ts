/** One and the same request. */
import type { FlowSource, FlowTarget } from '../flow.ts';
import { type Method, request } from './request.ts';

export interface FixedParams {
  readonly method: Method;
  readonly path: string;
  readonly body?: string;
}

export function fixedFlow(params: FixedParams, target: FlowTarget): FlowSource {
  const { method, path, body } = params;
  const only = { bytes: request(target, method, path, body), label: 'answer' };
  const flow = { next: () => only };
  return { caller: () => flow };
}
