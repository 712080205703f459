/**
 * The kinds of Kubernetes objects that cannot be listed or watched at present, and why, for the health server.
 *
 * That a kind is not installed is none of it: before its CRD comes, as without it, there is nothing to export.
 */

import { type Resource, resourceName } from '../../shared/kubernetes/objects/resources.ts';
import type { ReflectorObserver } from '../../shared/kubernetes/reflector/observer.ts';

export class KubernetesHealth {
  /** By kind; undefined where requests succeed. */
  readonly #failing = new Map<string, string | undefined>();

  /** The observer of the reflector of `kind`. */
  observe(kind: Resource): ReflectorObserver {
    const resource = resourceName(kind);
    let last = 'requests are failing';
    return (event) => {
      if (event.type === 'failure') last = `${event.error.code}: ${event.error.message}`;
      if (event.type === 'state') this.#failing.set(resource, event.state === 'failing' ? last : undefined);
      else if (event.type === 'failure' && this.#failing.get(resource) !== undefined) this.#failing.set(resource, last);
    };
  }

  problems(): string[] {
    return [...this.#failing].flatMap(([resource, problem]) => (problem === undefined ? [] : [`${resource}: ${problem}`]));
  }
}
