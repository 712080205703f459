/** Events of the reflectors as Prometheus metrics. */

import type { Counter, Gauge, Registry } from '../../shared/http/metrics.ts';
import { type Resource, resourceName } from '../../shared/kubernetes/objects/resources.ts';
import type { ReflectorObserver, ReflectorState } from '../../shared/kubernetes/reflector/observer.ts';

const STATES: readonly ReflectorState[] = ['listing', 'watching', 'missing', 'failing'];

export class KubernetesMetrics {
  readonly #state: Gauge<'resource' | 'state'>;
  readonly #lists: Counter<'resource' | 'mode'>;
  readonly #watches: Counter<'resource'>;
  readonly #relists: Counter<'resource' | 'reason'>;
  readonly #failures: Counter<'resource' | 'code'>;
  readonly #malformed: Counter<'resource'>;

  constructor(metrics: Registry) {
    this.#state = metrics.gauge('kubernetes_reflector_state', 'State of the reflector of a resource: 1 for the current state', [
      'resource',
      'state',
    ]);
    this.#lists = metrics.counter('kubernetes_lists_total', 'Completed lists, streamed or paginated', ['resource', 'mode']);
    this.#watches = metrics.counter('kubernetes_watches_total', 'Watches accepted by the API server', ['resource']);
    this.#relists = metrics.counter('kubernetes_relists_total', 'Watches that could not be resumed', ['resource', 'reason']);
    this.#failures = metrics.counter('kubernetes_failures_total', 'Failed requests', ['resource', 'code']);
    this.#malformed = metrics.counter('kubernetes_malformed_objects_total', 'Objects that could not be decoded', ['resource']);
  }

  /** No reflector runs any more. */
  forgetStates(): void {
    this.#state.reset();
  }

  /** The observer of the reflector of `kind`. */
  observe(kind: Resource): ReflectorObserver {
    const resource = resourceName(kind);
    this.#malformed.inc({ resource }, 0);
    return (event) => {
      if (event.type === 'state') for (const state of STATES) this.#state.set({ resource, state }, Number(state === event.state));
      else if (event.type === 'list') this.#lists.inc({ resource, mode: event.mode });
      else if (event.type === 'watch') this.#watches.inc({ resource });
      else if (event.type === 'relist') this.#relists.inc({ resource, reason: event.reason });
      else if (event.type === 'failure') this.#failures.inc({ resource, code: event.error.code });
      else this.#malformed.inc({ resource });
    };
  }
}
