/**
 * The fields of Kubernetes objects that this program reads.
 *
 * A field that the API may omit is optional; a list or a map may also be null, which is how Go
 * writes an empty one. Objects of these types come from `projections.ts`, which checks their types
 * once and drops all other fields.
 */

/** A list as Go writes it. */
export type GoList<T> = readonly T[] | null;
/** A map of strings as Go writes it. */
export type GoMap = Readonly<Record<string, string>> | null;

/** A 64-bit integer, a bigint if a number does not represent it exactly. */
export type WideInteger = number | bigint;

/** What names an object. `namespace` is '' where the kind is cluster scoped. */
export interface ObjectId {
  readonly namespace: string;
  readonly name: string;
  /** `namespace/name`, as kubectl and logs name an object; just the name where the kind has no namespace. */
  readonly text: string;
}

export interface ObjectMeta {
  readonly name: string;
  /** Absent on cluster scoped objects. */
  readonly namespace?: string;
  readonly labels?: GoMap;
  readonly annotations?: GoMap;
  /** RFC 3339, UTC, seconds. */
  readonly creationTimestamp?: string;
}

/** v1 Namespace. */
export interface Namespace {
  readonly metadata: ObjectMeta;
}

/** v1 Service. */
export interface Service {
  readonly metadata: ObjectMeta;
  readonly spec?: ServiceSpec;
}

export interface ServiceSpec {
  /** `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`. */
  readonly type?: string;
  /** An address, `None` for a headless service, '' or absent for ExternalName. */
  readonly clusterIP?: string;
  readonly clusterIPs?: GoList<string>;
  readonly ports?: GoList<ServicePort>;
  readonly selector?: GoMap;
  readonly ipFamilies?: GoList<string>;
  readonly sessionAffinity?: string;
  readonly sessionAffinityConfig?: { readonly clientIP?: { readonly timeoutSeconds?: number } | null } | null;
  readonly internalTrafficPolicy?: string;
  readonly trafficDistribution?: string;
}

export interface ServicePort {
  /** May be absent when the service has a single port. */
  readonly name?: string;
  /** Absent means TCP; the API server fills it in. */
  readonly protocol?: string;
  readonly appProtocol?: string;
  /** Any number: the API server checks its range, and not every server does. So with all ports here. */
  readonly port: number;
}

/** discovery.k8s.io/v1 EndpointSlice. */
export interface EndpointSlice {
  readonly metadata: ObjectMeta;
  /** `IPv4`, `IPv6` or `FQDN`. */
  readonly addressType: string;
  readonly endpoints?: GoList<SliceEndpoint>;
  readonly ports?: GoList<SlicePort>;
}

export interface SliceEndpoint {
  readonly addresses?: GoList<string>;
  /** Each condition may be absent, which readers treat as true, except `terminating`. */
  readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  readonly hostname?: string;
  /** Of objects that were written through older versions of the API. */
  readonly deprecatedTopology?: GoMap;
  readonly nodeName?: string;
  readonly zone?: string;
  readonly hints?: { readonly forZones?: GoList<{ readonly name: string }> };
}

export interface SlicePort {
  readonly name?: string;
  readonly protocol?: string;
  /** Absent means "all ports". */
  readonly port?: number;
  readonly appProtocol?: string;
}

/** cilium.io/v2 CiliumNode. */
export interface CiliumNode {
  readonly metadata: ObjectMeta;
  readonly spec?: {
    readonly addresses?: GoList<{ readonly type?: string; readonly ip?: string }>;
    readonly ipam?: {
      readonly podCIDRs?: GoList<string>;
      /** Of multi-pool IPAM, which leaves `podCIDRs` empty. */
      readonly pools?: { readonly allocated?: GoList<{ readonly cidrs?: GoList<string> }> };
    };
    readonly health?: { readonly ipv4?: string; readonly ipv6?: string };
    readonly ingress?: { readonly ipv4?: string; readonly ipv6?: string };
    readonly encryption?: { readonly key?: WideInteger };
    readonly bootid?: string;
  };
}

/** cilium.io/v2 CiliumIdentity. Its labels are a field of their own, not those of the metadata. */
export interface CiliumIdentity {
  readonly metadata: ObjectMeta;
  /** `source:key` to value. */
  readonly 'security-labels'?: GoMap;
}

/** One pair of addresses of an endpoint; either may be absent or ''. */
export interface AddressPair {
  readonly ipv4?: string;
  readonly ipv6?: string;
}

export interface EndpointNetworking {
  readonly addressing?: GoList<AddressPair>;
  /** Address of the node the endpoint runs on. */
  readonly node?: string;
}

export interface EndpointNamedPort {
  readonly name?: string;
  readonly port?: number;
  readonly protocol?: string;
}

/** cilium.io/v2 CiliumEndpoint. Of its labels, which are those of the Pod, only requested ones are kept. */
export interface CiliumEndpoint {
  readonly metadata: ObjectMeta;
  readonly status?: {
    readonly identity?: { readonly id?: WideInteger };
    readonly networking?: EndpointNetworking;
    readonly encryption?: { readonly key?: WideInteger };
    readonly 'service-account'?: string;
    readonly 'named-ports'?: GoList<EndpointNamedPort>;
  };
}

/** cilium.io/v2alpha1 CiliumEndpointSlice: cluster scoped, the namespace of its endpoints is a field. */
export interface CiliumEndpointSlice {
  readonly metadata: ObjectMeta;
  readonly namespace?: string;
  readonly endpoints?: GoList<CoreCiliumEndpoint>;
}

/** One endpoint of a CiliumEndpointSlice. */
export interface CoreCiliumEndpoint {
  readonly name?: string;
  /** The numeric security identity. */
  readonly id?: WideInteger;
  readonly networking?: EndpointNetworking;
  readonly encryption?: { readonly key?: WideInteger };
  readonly 'service-account'?: string;
  readonly 'named-ports'?: GoList<EndpointNamedPort>;
}

/** multicluster.x-k8s.io/v1beta1 and v1alpha1 ServiceExport. */
export interface ServiceExport {
  readonly metadata: ObjectMeta;
  readonly spec?: {
    readonly exportedLabels?: GoMap;
    readonly exportedAnnotations?: GoMap;
  };
}

/** apiextensions.k8s.io/v1 CustomResourceDefinition, of which only the metadata is requested. */
export interface CustomResourceDefinitionMetadata {
  readonly metadata: ObjectMeta;
}
