/**
 * The exports of a whole cluster without Kubernetes and etcd: objects go in as the API server would send them,
 * keys come out as a publisher would hold them.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { podsOfCiliumEndpointSlice } from '../../src/apiserver/converters/cilium-endpoint-slice.ts';
import { podsOfEndpoint } from '../../src/apiserver/converters/endpoint.ts';
import { convertIdentity, namespaceOfIdentity } from '../../src/apiserver/converters/identity.ts';
import { convertPods, type Pods } from '../../src/apiserver/converters/pods.ts';
import type { Cluster, Scope } from '../../src/apiserver/encoding/keyspace.ts';
import { namespaceFilter } from '../../src/apiserver/export/export-filter.ts';
import {
  exportEndpointSlices,
  exportNodes,
  exportOwned,
  exportServiceExports,
  exportServices,
} from '../../src/apiserver/export/export-rules.ts';
import { NOTHING, UNDECIDED } from '../../src/apiserver/export/exporter.ts';
import { parseLabelSelector } from '../../src/apiserver/export/label-selector.ts';
import { Namespaces } from '../../src/apiserver/export/namespaces.ts';
import { ObjectRejections } from '../../src/apiserver/export/object-rejections.ts';
import { ServiceSlices } from '../../src/apiserver/export/service-slices.ts';
import { ObjectStore } from '../../src/apiserver/informers/object-store.ts';
import { Registry } from '../../src/shared/http/metrics.ts';
import {
  namespaceProjection,
  projectCiliumEndpoint,
  projectCiliumEndpointSlice,
  projectCiliumIdentity,
  projectCiliumNode,
  projectEndpointSlice,
  projectService,
  projectServiceExport,
} from '../../src/shared/kubernetes/objects/projections.ts';
import type {
  CiliumIdentity,
  CiliumNode,
  EndpointSlice,
  ObjectMeta,
  Service,
  ServiceExport,
} from '../../src/shared/kubernetes/objects/types.ts';
import { ObjectFeed, type ResourceHandler } from '../../src/shared/kubernetes/reflector/object-feed.ts';
import { type Logger, silentLogger } from '../../src/shared/process/log.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { type RecordingSink, recordingSink } from './recording-sink.ts';

/** An object as YAML has it. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

interface Kind {
  readonly feed: ObjectFeed<never>;
  listed(): void;
}

/** Above the number of objects that any test changes at once. */
const SETTLING_TURNS = 500;

const namespaceOf = ({ metadata }: { readonly metadata: ObjectMeta }) => metadata.namespace ?? '';

export interface ModelOptions {
  readonly cluster?: Cluster;
  readonly isGlobalByDefault?: boolean;
  /** As `--export-namespaces` and `--export-namespace-selector` have it. */
  readonly exportNamespaces?: readonly string[];
  readonly exportNamespaceSelector?: string;
  readonly log?: Logger;
}

export class ClusterModel {
  readonly sinks: Readonly<Record<Scope, RecordingSink>> = {
    'nodes/v1': recordingSink(),
    'identities/v1': recordingSink(),
    'ip/v1': recordingSink(),
    'services/v1': recordingSink(),
    'endpointslices/v1': recordingSink(),
    'serviceexports/v1': recordingSink(),
  };
  readonly metrics = new Registry('test_');
  readonly #kinds: Readonly<Record<string, Kind>>;

  constructor(options: ModelOptions = {}) {
    const { cluster = { name: 'east', id: 7 }, isGlobalByDefault = true, log = silentLogger } = options;
    const { sinks } = this;
    const selector = parseLabelSelector(options.exportNamespaceSelector ?? '');
    const namespaces = new Namespaces(isGlobalByDefault, namespaceFilter(options.exportNamespaces ?? [], selector));
    const rejections = new ObjectRejections(log, this.metrics);
    const context = { cluster, namespaces, rejections, clock: systemClock, signal: new AbortController().signal };
    const nodes = new ObjectStore<CiliumNode>(() => '');
    const identities = new ObjectStore<CiliumIdentity>(namespaceOfIdentity);
    const pods = new ObjectStore<Pods>(({ namespace }) => namespace);
    const services = new ObjectStore<Service>(namespaceOf);
    const slices = new ObjectStore<EndpointSlice>(namespaceOf);
    const exported = new ObjectStore<ServiceExport>(namespaceOf);
    const objects = { services, slices, slicesByService: new ServiceSlices(slices) };

    exportNodes(context, sinks['nodes/v1'], nodes);
    exportOwned(context, sinks['identities/v1'], identities, {
      scope: 'identities/v1',
      namespaceOf: namespaceOfIdentity,
      convert: convertIdentity,
      whileUnknown: UNDECIDED,
    });
    exportOwned(context, sinks['ip/v1'], pods, {
      scope: 'ip/v1',
      namespaceOf: ({ namespace }) => namespace,
      convert: convertPods,
      whileUnknown: NOTHING,
      createdMs: ({ createdMs }) => createdMs,
    });
    exportServices(context, sinks['services/v1'], objects);
    exportEndpointSlices(context, sinks['endpointslices/v1'], objects);
    exportServiceExports(context, sinks['serviceexports/v1'], services, exported);

    const kind = <T>(project: (raw: unknown) => T, handler: ResourceHandler<T>): Kind => ({
      feed: new ObjectFeed<T>({ project, handler, log, onRejected: () => undefined }) as ObjectFeed<never>,
      listed: () => handler.listed(),
    });
    this.#kinds = {
      Namespace: kind(namespaceProjection(selector.labelNames), namespaces),
      CiliumNode: kind(projectCiliumNode, nodes),
      CiliumIdentity: kind(projectCiliumIdentity, identities),
      CiliumEndpoint: kind((raw) => podsOfEndpoint(projectCiliumEndpoint(raw)), pods),
      CiliumEndpointSlice: kind((raw) => podsOfCiliumEndpointSlice(projectCiliumEndpointSlice(raw)), pods),
      Service: kind(projectService, services),
      EndpointSlice: kind(projectEndpointSlice, slices),
      ServiceExport: kind(projectServiceExport, exported),
    };
  }

  apply(...manifests: readonly Manifest[]): void {
    for (const manifest of manifests) this.#kind(manifest.kind).feed.upsert(manifest);
  }

  remove(kind: string, name: string, namespace = ''): void {
    this.#kind(kind).feed.remove({ metadata: { name, namespace } });
  }

  /** All kinds, or those named. */
  listed(kinds: readonly string[] = Object.keys(this.#kinds)): void {
    for (const kind of kinds) this.#kind(kind).listed();
  }

  /** All changes have been evaluated: each turn of the event loop evaluates at least one object of each export. */
  async settled(): Promise<void> {
    for (let turn = 0; turn < SETTLING_TURNS; turn += 1) await nextTurn();
  }

  /** What all sections hold, values as text. */
  texts(): Record<string, string> {
    return Object.assign({}, ...Object.values(this.sinks).map((sink) => sink.texts()));
  }

  #kind(name: string): Kind {
    const kind = this.#kinds[name];
    if (kind === undefined) throw new Error(`no kind ${name}`);
    return kind;
  }
}
