/**
 * What the objects of each kind export, and which changes require another evaluation.
 *
 * Each function connects the objects of one section to its sink. All but nodes wait for the namespaces, which
 * decide whether an object is exported.
 */

import type { CiliumNode, EndpointSlice, Service, ServiceExport } from '../../shared/kubernetes/objects/types.ts';
import type { Section, Sink } from '../../shared/publisher/types.ts';
import type { Clock } from '../../shared/time/clock.ts';
import type { Conversion } from '../converters/conversion.ts';
import { convertEndpointSlice } from '../converters/endpoint-slice.ts';
import { convertNode } from '../converters/node.ts';
import { convertService } from '../converters/service.ts';
import { convertServiceExport } from '../converters/service-export.ts';
import type { Cluster, Scope } from '../encoding/keyspace.ts';
import { FirstListing, type Listing } from '../informers/listing.ts';
import type { ObjectStore } from '../informers/object-store.ts';
import { type Decision, Exporter, followNamespaces, NOTHING } from './exporter.ts';
import { isShared } from './global-annotation.ts';
import type { Namespaces } from './namespaces.ts';
import type { ObjectRejections } from './object-rejections.ts';
import type { ObjectTraces } from './object-traces.ts';
import { type ServiceSlices, serviceIdOf } from './service-slices.ts';

export interface ExportContext {
  readonly cluster: Cluster;
  readonly namespaces: Namespaces;
  readonly rejections: ObjectRejections;
  /** Undefined where nothing is traced. */
  readonly tracesOf?: ((scope: Scope) => ObjectTraces) | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Nodes belong to no namespace and are always exported. */
export function exportNodes(context: ExportContext, sink: Sink, nodes: ObjectStore<CiliumNode>): void {
  const exporter = new Exporter({
    ...context,
    scope: 'nodes/v1',
    sink,
    prerequisites: [],
    inputs: [nodes.listing],
    evaluate: (id) => {
      const node = nodes.get(id);
      return node === undefined ? NOTHING : convertNode(context.cluster, node);
    },
  });
  nodes.onChange(({ id }) => exporter.changed(id));
}

/** What is exported of objects that are owned by a namespace, each by itself. */
export interface OwnedExport<T> {
  readonly scope: Scope;
  /** Empty where no namespace owns the object; it is not exported then. */
  readonly namespaceOf: (object: T) => string;
  readonly convert: (cluster: Cluster, object: T) => Conversion;
  /** What is exported of an object that moves to a namespace that is not known, until that is known. */
  readonly whileUnknown: Decision;
  /** Where several objects may claim a key: when this one was created. */
  readonly createdMs?: (object: T) => number;
}

/**
 * Identities, and the addresses of pods. Where several objects may claim a key, `earlier` is the section itself: evaluation
 * then waits until it is known what the run before has left there, before which nothing could be written anyway.
 */
export function exportOwned<T>(
  context: ExportContext,
  sink: Sink,
  objects: ObjectStore<T>,
  kind: OwnedExport<T>,
  earlier?: Section,
): void {
  const { scope, namespaceOf, convert, whileUnknown, createdMs } = kind;
  const exporter = new Exporter({
    ...context,
    scope,
    sink,
    prerequisites: earlier === undefined ? [context.namespaces.listing] : [context.namespaces.listing, known(context, earlier)],
    inputs: [objects.listing],
    ...(earlier && { earlier }),
    ...(createdMs && { createdMs: (id) => createdOr(objects.get(id), createdMs) }),
    evaluate: (id) => {
      const object = objects.get(id);
      if (object === undefined) return NOTHING;
      return whereExported(context.namespaces, namespaceOf(object), () => convert(context.cluster, object), whileUnknown);
    },
  });
  objects.onChange(({ id }) => exporter.changed(id));
  followNamespaces(exporter, context.namespaces, (namespace) => objects.inNamespace(namespace));
}

/** A deleted object, which will release its claims, is older than all others. */
export function createdOr<T>(object: T | undefined, createdMs: (object: T) => number): number {
  return object === undefined ? Number.NEGATIVE_INFINITY : createdMs(object);
}

/** Services and what belongs to them. */
export interface ServiceObjects {
  readonly services: ObjectStore<Service>;
  readonly slices: ObjectStore<EndpointSlice>;
  readonly slicesByService: ServiceSlices;
}

/** Shared services with the backends of their slices. None is exported before both kinds are listed: it would lose its backends. */
export function exportServices(context: ExportContext, sink: Sink, objects: ServiceObjects): void {
  const { services, slices, slicesByService } = objects;
  const exporter = new Exporter({
    ...context,
    scope: 'services/v1',
    sink,
    prerequisites: [context.namespaces.listing, services.listing, slices.listing],
    inputs: [],
    evaluate: (id) => {
      const service = services.get(id);
      if (service === undefined || !isShared(service)) return NOTHING;
      const convert = () => convertService(context.cluster, service, slicesByService.of(id));
      return whereExported(context.namespaces, service.metadata.namespace ?? '', convert);
    },
  });
  services.onChange(({ id }) => exporter.changed(id));
  slicesByService.onChange((id) => exporter.changed(id));
  followNamespaces(exporter, context.namespaces, (namespace) => services.inNamespace(namespace));
}

/** The slices of shared services. */
export function exportEndpointSlices(context: ExportContext, sink: Sink, objects: ServiceObjects): void {
  const { services, slices, slicesByService } = objects;
  const exporter = new Exporter({
    ...context,
    scope: 'endpointslices/v1',
    sink,
    prerequisites: [context.namespaces.listing, services.listing],
    inputs: [slices.listing],
    evaluate: (id) => {
      const slice = slices.get(id);
      const serviceId = slice && serviceIdOf(slice);
      const service = serviceId === undefined ? undefined : services.get(serviceId);
      if (slice === undefined || service === undefined || !isShared(service)) return NOTHING;
      const convert = () => convertEndpointSlice(context.cluster, slice);
      return whereExported(context.namespaces, slice.metadata.namespace ?? '', convert);
    },
  });
  slices.onChange(({ id }) => exporter.changed(id));
  services.onChange(({ id, before, now }) => {
    const wasShared = before !== undefined && isShared(before);
    const isSharedNow = now !== undefined && isShared(now);
    if (wasShared !== isSharedNow) for (const slice of slicesByService.idsOf(id)) exporter.changed(slice);
  });
  followNamespaces(exporter, context.namespaces, (namespace) => slices.inNamespace(namespace));
}

/** Services with a ServiceExport of the same name; they need not be shared by annotation. */
export function exportServiceExports(
  context: ExportContext,
  sink: Sink,
  services: ObjectStore<Service>,
  serviceExports: ObjectStore<ServiceExport>,
): void {
  const exporter = new Exporter({
    ...context,
    scope: 'serviceexports/v1',
    sink,
    prerequisites: [context.namespaces.listing, services.listing],
    inputs: [serviceExports.listing],
    evaluate: (id) => {
      const serviceExport = serviceExports.get(id);
      const service = services.get(id);
      if (serviceExport === undefined || service === undefined) return NOTHING;
      const convert = () => convertServiceExport(context.cluster, serviceExport, service);
      return whereExported(context.namespaces, service.metadata.namespace ?? '', convert);
    },
  });
  serviceExports.onChange(({ id }) => exporter.changed(id));
  services.onChange(({ id }) => {
    if (serviceExports.get(id) !== undefined) exporter.changed(id);
  });
  followNamespaces(exporter, context.namespaces, (namespace) => serviceExports.inNamespace(namespace));
}

/** Listed when it is known what etcd has of the section. */
export function known({ signal }: ExportContext, section: Section): Listing {
  const listing = new FirstListing();
  section.whenEtcdListed(signal).then(
    () => listing.complete(),
    () => undefined, // The daemon is shutting down.
  );
  return listing;
}

/**
 * `convert()` if the namespace is exported, nothing if it is not, or if there is no namespace.
 *
 * `whileUnknown` while the namespace is unknown: it was deleted, or the object's event arrived before that of its
 * namespace, which then causes another evaluation. By default nothing, as after a restart.
 */
export function whereExported(
  namespaces: Namespaces,
  namespace: string,
  convert: () => Conversion,
  whileUnknown: Decision = NOTHING,
): Decision {
  if (namespace === '') return NOTHING;
  const isExported = namespaces.isExported(namespace);
  if (isExported === undefined) return whileUnknown;
  return isExported ? convert() : NOTHING;
}
