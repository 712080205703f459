/**
 * The EndpointSlices of each service.
 *
 * A slice names its service by a label and may be given to another one at any time, so a change of a slice
 * concerns up to two services: upstream recomputes only the new one, and the old one keeps
 * backends that are no longer its own until something else happens to it.
 */
import type { EndpointSlice } from '../../shared/kubernetes/objects/types.ts';
import { compareBytes } from '../encoding/go-json.ts';
import { GroupIndex } from '../informers/group-index.ts';
import type { ObjectStore } from '../informers/object-store.ts';
import { serviceNameOf } from './global-annotation.ts';

export class ServiceSlices {
  readonly #slices: ObjectStore<EndpointSlice>;
  readonly #byService = new GroupIndex();
  readonly #listeners: ((serviceId: string) => void)[] = [];

  constructor(slices: ObjectStore<EndpointSlice>) {
    this.#slices = slices;
    slices.onChange(({ id, before, now }) => {
      const from = before && serviceIdOf(before);
      const to = now && serviceIdOf(now);
      this.#byService.move(id, from, to);
      for (const service of new Set([from, to])) if (service !== undefined) this.#notify(service);
    });
  }

  /** In the order of their names, so that equal slices give equal services on every run. */
  of(serviceId: string): EndpointSlice[] {
    const ids = [...this.#byService.members(serviceId)].sort(compareBytes);
    return ids.flatMap((id) => this.#slices.get(id) ?? []);
  }

  /** Ids of the slices of a service. */
  idsOf(serviceId: string): Iterable<string> {
    return this.#byService.members(serviceId);
  }

  /** `listener` is called for each service whose slices have changed. */
  onChange(listener: (serviceId: string) => void): void {
    this.#listeners.push(listener);
  }

  #notify(serviceId: string): void {
    for (const listener of this.#listeners) listener(serviceId);
  }
}

/** Id of the service the slice belongs to; undefined where it belongs to none. */
export function serviceIdOf(slice: EndpointSlice): string | undefined {
  const name = serviceNameOf(slice);
  return name === undefined ? undefined : `${slice.metadata.namespace ?? ''}/${name}`;
}
