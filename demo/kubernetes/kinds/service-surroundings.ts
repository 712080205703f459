/**
 * What the services of the store have taken, for services to come.
 */
import { at, isObject, listOr } from '../objects/json.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { Surroundings } from './resource-kind.ts';

export function serviceSurroundings(store: ObjectStore, time: string): Surroundings {
  const services = () => [...store.values('services')];
  return {
    time,
    usedClusterIPs: () => new Set(services().flatMap((service) => listOr(at(service, 'spec', 'clusterIPs')).map(String))),
    usedNodePorts: () =>
      new Set(
        services()
          .flatMap((service) => listOr(at(service, 'spec', 'ports')))
          .map((port) => Number(isObject(port) ? (port.nodePort ?? 0) : 0)),
      ),
  };
}
