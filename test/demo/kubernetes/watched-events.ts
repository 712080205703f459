/**
 * The events of a watch, as a test reads them one after the other.
 */
import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import type { KubernetesRequests } from '../../support/kubernetes/kubernetes-requests.ts';
import { within } from '../../support/until.ts';

export interface WatchedEvent {
  readonly type: string;
  readonly object: {
    readonly metadata: {
      readonly name?: string;
      readonly resourceVersion?: string;
      readonly annotations?: Record<string, string>;
    };
    readonly code?: number;
    readonly [field: string]: unknown;
  };
}

export interface WatchedEvents extends Disposable {
  readonly code: number;
  /** The next event; undefined where the watch has ended. Rejects where neither comes in time. */
  next(): Promise<WatchedEvent | undefined>;
  /** The next events in short: `ADDED web`. */
  take(count: number): Promise<readonly string[]>;
}

/** Watches `path` with a query such as `resourceVersion=7`; resolves when the server has begun to answer. */
export async function watchEvents(requests: KubernetesRequests, path: string, query = ''): Promise<WatchedEvents> {
  const response: IncomingMessage = await requests.open('GET', `${path}?watch=true&${query}`);
  response.on('error', () => undefined);
  const lines = createInterface({ input: response })[Symbol.asyncIterator]();
  const next = async () => {
    const { done, value } = await within(`an event of ${path}`, lines.next());
    return done === true ? undefined : (JSON.parse(String(value)) as WatchedEvent);
  };
  return {
    code: response.statusCode ?? 0,
    next,
    async take(count) {
      const taken: string[] = [];
      while (taken.length < count) {
        const event = await next();
        if (event === undefined) break;
        taken.push(`${event.type} ${event.object.metadata.name ?? ''}`.trim());
      }
      return taken;
    },
    [Symbol.dispose]: () => response.destroy(),
  };
}
