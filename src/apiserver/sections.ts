/**
 * The sections of the local etcd that this daemon owns, one per scope.
 *
 * Nodes and identities are loaded before the addresses that refer to them, and services last. A key without
 * a lease was written externally and is not changed.
 */
import type { PublisherMetrics } from '../shared/publisher/metrics.ts';
import type { Publisher, Section, SectionOptions } from '../shared/publisher/types.ts';
import { repackedEndpointSlice } from './converters/endpoint-slice.ts';
import { type Cluster, canaryKey, type Scope, scopePrefix } from './encoding/keyspace.ts';

export type Sections = Readonly<Record<Scope, Section>>;

export interface SectionsOptions {
  readonly publisher: Publisher;
  readonly metrics: PublisherMetrics;
  readonly cluster: Cluster;
  /** If false, the section of services removes the keys of an earlier run, and has no canary. */
  readonly servicesExported: boolean;
}

interface SpecialOptions extends Pick<SectionOptions, 'canonical'> {
  readonly isAnnounced?: boolean;
}

/** Opens all of them together, so that each has the sections it waits for. */
export function openSections({ publisher, metrics, cluster, servicesExported }: SectionsOptions): Sections {
  const open = (scope: Scope, rank: number, { isAnnounced = true, ...special }: SpecialOptions = {}) => {
    const prefix = scopePrefix(cluster, scope);
    const canary = isAnnounced ? { canary: canaryKey(cluster, scope) } : {};
    const section = publisher.section({ scope, cluster: cluster.name, prefix, rank, owns: 'leased', ...canary, ...special });
    metrics.addSection(section);
    return section;
  };
  const sections = {
    'nodes/v1': open('nodes/v1', 0),
    'identities/v1': open('identities/v1', 0),
    'ip/v1': open('ip/v1', 1),
    'services/v1': open('services/v1', 2, { isAnnounced: servicesExported }),
    'endpointslices/v1': open('endpointslices/v1', 2, { canonical: repackedEndpointSlice }),
    'serviceexports/v1': open('serviceexports/v1', 2),
  };
  if (!servicesExported) sections['services/v1'].listed();
  return sections;
}
