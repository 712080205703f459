/** What was read of each cluster, for the checks. */
import type { JsonRecord } from '../../shared/kubernetes/objects/json.ts';

/** `absent`: there is none. `unread`: it could not be read; a finding says why. */
export type ObjectFact = JsonRecord | 'absent' | 'unread';
/** Empty where the API server does not have the resource. */
export type ListFact = readonly JsonRecord[] | 'unread';

export interface ClockFact {
  /** The clock of the API server less that of this workstation. */
  readonly offsetMs: number;
  /** The true offset is at most so far away: the server sends whole seconds, and the request takes time. */
  readonly errorMs: number;
}

/** Objects of the namespace of Cilium where nothing else is said. */
export interface ClusterFacts {
  readonly context: string;
  readonly namespace: string;
  /** The data of `cilium-config`. */
  readonly config: JsonRecord;
  readonly clock: ClockFact | 'unread';
  readonly ownNamespace: ObjectFact;
  /** Deployment or StatefulSet of clustermesh-apiserver. */
  readonly workload: ObjectFact;
  readonly pods: ListFact;
  readonly agents: ObjectFact;
  readonly operator: ObjectFact;
  readonly service: ObjectFact;
  readonly endpointSlices: ListFact;
  /** By name. */
  readonly secrets: ReadonlyMap<string, ObjectFact>;
  /** ConfigMap of the trusted CAs. */
  readonly caBundle: ObjectFact;
  /** Objects that the Pods need and that do not exist: `Secret kube-system/name`. */
  readonly missingReferences: readonly string[] | 'unread';
  /** Of the namespace, and cluster-wide ones. */
  readonly policies: { readonly kubernetes: ListFact; readonly cilium: ListFact; readonly clusterwide: ListFact };
  /** Rules of the ClusterRoles bound to the ServiceAccount of the Pods. */
  readonly rules: ListFact;
  /** Plural and group of the custom resources that are served: `ciliumnodes.cilium.io`. */
  readonly resources: ReadonlySet<string> | 'unread';
  readonly ciliumNodes: ListFact;
  /** Number of CiliumIdentities. */
  readonly identities: number | 'unread';
  readonly serviceCidrs: readonly string[] | 'unread';
  /** Of all namespaces. */
  readonly services: ListFact;
  readonly serviceExports: ListFact;
}

/** A cluster among those that are checked together. */
export interface Member extends ClusterFacts {
  /** Its name; with the context where several clusters have it. */
  readonly label: string;
  readonly name: string;
  /** False if the name is invalid or not unique: what depends on the name cannot be judged. */
  readonly isNamed: boolean;
}

/** What is the same for all checks of a run. */
export interface Moment {
  /** Wall clock of this workstation. */
  readonly nowMs: number;
}
