/**
 * The kinds of Cilium: nodes, identities, and the addresses of pods.
 *
 * Their CRDs are installed by Cilium's operator, which may come later than this daemon. Until then their
 * sections are not listed, and the daemon is not ready; services are exported all the same.
 */

import {
  labelledEndpointProjection,
  projectCiliumEndpoint,
  projectCiliumEndpointSlice,
  projectCiliumIdentity,
  projectCiliumNode,
} from '../shared/kubernetes/objects/projections.ts';
import {
  CILIUM_ENDPOINT_SLICES,
  CILIUM_ENDPOINTS,
  CILIUM_IDENTITIES,
  CILIUM_NODES,
  CUSTOM_RESOURCE_DEFINITIONS,
} from '../shared/kubernetes/objects/resources.ts';
import type { CiliumIdentity, CiliumNode } from '../shared/kubernetes/objects/types.ts';
import { waitForCrds } from '../shared/kubernetes/reflector/crds.ts';
import type { Section } from '../shared/publisher/types.ts';
import { podsOfCiliumEndpointSlice } from './converters/cilium-endpoint-slice.ts';
import { podsOfEndpoint } from './converters/endpoint.ts';
import { convertIdentity, namespaceOfIdentity } from './converters/identity.ts';
import { convertPods, type Pods } from './converters/pods.ts';
import { type ExportContext, exportNodes, exportOwned, type OwnedExport } from './export/export-rules.ts';
import { NOTHING, UNDECIDED } from './export/exporter.ts';
import type { LabelSelector } from './export/label-selector.ts';
import type { EndpointCounts } from './export/selection/endpoint-counts.ts';
import { exportSelected } from './export/selection/selected-exports.ts';
import type { Informers, Kind } from './informers/informers.ts';
import { ObjectStore } from './informers/object-store.ts';
import type { Sections } from './sections.ts';

/** A kind whose objects are owned by namespaces, and what is exported of it. */
interface OwnedKind<T> extends Kind<T>, OwnedExport<T> {}

const NODES: Kind<CiliumNode> = { resource: CILIUM_NODES, project: projectCiliumNode };

export const IDENTITIES: OwnedKind<CiliumIdentity> = {
  resource: CILIUM_IDENTITIES,
  project: projectCiliumIdentity,
  scope: 'identities/v1',
  namespaceOf: namespaceOfIdentity,
  convert: convertIdentity,
  // As in the original: the identity is in use while the object exists, whatever its labels.
  whileUnknown: UNDECIDED,
};

const ADDRESSES: OwnedExport<Pods> = {
  scope: 'ip/v1',
  namespaceOf: ({ namespace }) => namespace,
  convert: convertPods,
  whileUnknown: NOTHING,
  createdMs: ({ createdMs }) => createdMs,
};

const ENDPOINTS: OwnedKind<Pods> = {
  ...ADDRESSES,
  resource: CILIUM_ENDPOINTS,
  project: (raw) => podsOfEndpoint(projectCiliumEndpoint(raw)),
};

const ENDPOINT_SLICES: OwnedKind<Pods> = {
  ...ADDRESSES,
  resource: CILIUM_ENDPOINT_SLICES,
  project: (raw) => podsOfCiliumEndpointSlice(projectCiliumEndpointSlice(raw)),
};

export interface CiliumKindsOptions {
  readonly informers: Informers;
  readonly context: ExportContext;
  readonly sections: Sections;
  /** Addresses come from CiliumEndpointSlices instead of CiliumEndpoints. */
  readonly usesEndpointSlices: boolean;
  readonly crdWaitTimeoutMs: number;
  /** Undefined where all endpoints of exported namespaces are exported. */
  readonly selected: SelectedEndpoints | undefined;
}

export interface SelectedEndpoints {
  readonly selector: LabelSelector;
  readonly counts: EndpointCounts;
}

/** The kind with the addresses of pods; what `selector` selects by labels is part of its objects. */
export function endpointKind(usesEndpointSlices: boolean, selector?: LabelSelector): Kind<Pods> & OwnedExport<Pods> {
  if (usesEndpointSlices) return ENDPOINT_SLICES;
  if (selector === undefined) return ENDPOINTS;
  const project = labelledEndpointProjection(selector.labelNames);
  return { ...ENDPOINTS, project: (raw) => podsOfEndpoint(project(raw), (labels) => selector.matches(labels)) };
}

/** Follows the kinds of Cilium once their CRDs exist. Rejects with a CrdTimeoutError if they are not created in time. */
export async function exportCiliumKinds(options: CiliumKindsOptions, signal: AbortSignal): Promise<void> {
  const { informers, context, sections, usesEndpointSlices, crdWaitTimeoutMs: timeoutMs, selected } = options;
  const { connection, metrics, clock, log } = informers.options;
  const pods = endpointKind(usesEndpointSlices, selected?.selector);
  const resources = [NODES, IDENTITIES, pods].map(({ resource }) => resource);
  const observer = metrics.observe(CUSTOM_RESOURCE_DEFINITIONS);
  await waitForCrds({ connection, resources, timeoutMs, observer, clock, log, signal });

  const nodes = new ObjectStore<CiliumNode>(() => '');
  exportNodes(context, sections['nodes/v1'], nodes);
  informers.follow(NODES, nodes);
  if (selected !== undefined) {
    const identities = new ObjectStore<CiliumIdentity>(IDENTITIES.namespaceOf);
    const endpoints = new ObjectStore<Pods>(pods.namespaceOf);
    exportSelected(context, { ...selected, identities, endpoints, sections, log });
    informers.follow(IDENTITIES, identities);
    informers.follow(pods, endpoints);
    return;
  }
  const follow = <T>(kind: OwnedKind<T>, earlier?: Section) => {
    const objects = new ObjectStore<T>(kind.namespaceOf);
    exportOwned(context, sections[kind.scope], objects, kind, earlier);
    informers.follow(kind, objects);
  };
  follow(IDENTITIES);
  follow(pods, sections[pods.scope]);
}
