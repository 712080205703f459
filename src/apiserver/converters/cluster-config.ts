/**
 * The settings of this cluster for its peers → the key `cilium/cluster-config/<cluster>`.
 *
 * A peer reads this before anything else; an absent field means that this cluster does not support the feature.
 */

import { clusterConfigKey } from '../../shared/etcd/keyspace.ts';
import { jsonBoolean, jsonInteger, jsonStruct, jsonText } from '../encoding/go-json.ts';
import type { Cluster, Entry } from '../encoding/keyspace.ts';

export interface ClusterSettings {
  /** 255 or 511, the same in the whole mesh. */
  readonly maxConnectedClusters: number;
  readonly serviceExportsEnabled: boolean;
  /** Services are also exported in the older form, not only as endpoint slices. */
  readonly servicesExported: boolean;
}

export function convertClusterConfig(cluster: Cluster, settings: ClusterSettings): Entry {
  const capabilities = jsonStruct({
    syncedCanaries: jsonBoolean(true),
    maxConnectedClusters: jsonInteger(settings.maxConnectedClusters),
    serviceExportsEnabled: jsonBoolean(settings.serviceExportsEnabled),
    endpointSlicesExportMode: jsonText(settings.servicesExported ? 'services-and-endpointslices' : 'endpointslices-only'),
  });
  const value = jsonStruct({ id: jsonInteger(cluster.id), capabilities });
  return { key: clusterConfigKey(cluster.name), value: Buffer.from(value) };
}
