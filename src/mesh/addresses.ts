/** From the Service of a cluster to the addresses at which other clusters reach its etcd. */
import { isIP } from 'node:net';
import type { EndpointAddress } from '../shared/etcd/endpoint-address.ts';
import { type JsonRecord, recordOf } from '../shared/kubernetes/objects/json.ts';
import { printable } from '../shared/printable.ts';
import type { Certificate } from '../shared/tls/certificate.ts';
import { nameVerdict } from '../shared/tls/server-name.ts';

/** Addresses of one cluster that an entry has; clients try all of them. */
const MAX_ADDRESSES = 16;
const MAX_HOST_LENGTH = 253;

export interface Destination {
  /** DNS names, which clients resolve at each connection. */
  readonly names: readonly string[];
  readonly ips: readonly string[];
  readonly port: number;
  /** Why these, in a few words. */
  readonly reason: string;
}

export interface NoDestination {
  readonly problem: string;
  readonly remedy: string;
}

export interface DestinationFacts {
  /** Undefined where it does not exist. */
  readonly service: JsonRecord | undefined;
  readonly nodes: readonly JsonRecord[];
  /** Of the etcd server; undefined where it could not be read. */
  readonly certificate: Certificate | undefined;
}

const EXTERNAL_DNS = 'external-dns.alpha.kubernetes.io/hostname';

/** The addresses of a flag. */
export function explicitDestination(flag: string, endpoints: readonly EndpointAddress[]): Destination {
  const hosts = endpoints.map(({ host }) => host);
  return { ...split(hosts), port: endpoints[0]?.port ?? 0, reason: `set by --${flag}` };
}

/**
 * In this order: a name for external-dns that the server certificate covers, host names of a load balancer that it covers, IP
 * addresses of a load balancer, addresses of the nodes, the ClusterIP.
 */
export function destinationOf({ service, nodes, certificate }: DestinationFacts): Destination | NoDestination {
  if (service === undefined)
    return {
      problem: 'Service clustermesh-apiserver does not exist',
      remedy:
        'install clustermesh-apiserver in this cluster, or name its addresses with --source-endpoint or --destination-endpoint',
    };
  const { type, ports, clusterIPs, clusterIP } = recordOf(service.spec);
  const [port] = recordsOf(ports);
  const isCovered = (name: string) => certificate === undefined || nameVerdict(certificate, name) === 'covered';
  const annotated = annotatedName(service);
  const servicePort = Number(port?.port ?? 2379);
  if (annotated !== undefined && type !== 'NodePort' && isCovered(annotated))
    return { names: [annotated], ips: [], port: servicePort, reason: `annotation ${EXTERNAL_DNS} of the Service` };
  if (type === 'LoadBalancer') return balanced(service, servicePort, isCovered);
  if (type === 'NodePort') return onNodes(nodes, Number(port?.nodePort ?? 0));
  const addresses = [clusterIPs ?? clusterIP]
    .flat()
    .map(String)
    .filter((each) => isIP(each) !== 0);
  if (addresses.length === 0)
    return {
      problem: 'Service clustermesh-apiserver has no ClusterIP',
      remedy: 'name the addresses with --source-endpoint or --destination-endpoint',
    };
  return {
    names: [],
    ips: addresses,
    port: servicePort,
    reason: 'ClusterIP of the Service, which works only if the clusters route the addresses of Services',
  };
}

function balanced(service: JsonRecord, port: number, isCovered: (name: string) => boolean): Destination | NoDestination {
  const ingress = recordsOf(recordOf(recordOf(service.status).loadBalancer).ingress).slice(0, MAX_ADDRESSES);
  const ips = ingress.map(({ ip }) => String(ip ?? '')).filter((ip) => isIP(ip) !== 0);
  const names = ingress.map(({ hostname }) => printable(String(hostname ?? ''), MAX_HOST_LENGTH)).filter((name) => name !== '');
  const covered = names.filter(isCovered);
  if (covered.length > 0)
    return { names: covered, ips: [], port, reason: 'host names of the load balancer, which clients resolve' };
  if (ips.length > 0) return { names: [], ips, port, reason: 'IP addresses of the load balancer' };
  if (names.length > 0)
    return {
      problem: `the server certificate does not have the name of the load balancer, ${names[0]}`,
      remedy: 'add the name to tls.server.extraDnsNames (Cilium: clustermesh.apiserver.tls.auto.server.extraDnsNames)',
    };
  return {
    problem: 'the load balancer has no address yet',
    remedy: 'wait for it (kubectl get service), or name the addresses with --source-endpoint or --destination-endpoint',
  };
}

function onNodes(nodes: readonly JsonRecord[], port: number): Destination | NoDestination {
  const perNode = nodes.map(nodeAddresses).filter(({ addresses }) => addresses.length > 0);
  const all = [...new Set(perNode.flatMap(({ addresses }) => addresses))];
  if (all.length === 0)
    return {
      problem: 'no node has an address',
      remedy: 'name the addresses with --source-endpoint or --destination-endpoint',
    };
  const types = [...new Set(perNode.map(({ type }) => type))].join(' and ');
  const cut = all.length > MAX_ADDRESSES ? ` (the first ${MAX_ADDRESSES} of ${all.length})` : '';
  return {
    names: [],
    ips: all.slice(0, MAX_ADDRESSES),
    port,
    reason: `node port of the Service, ${types} of ${perNode.length} nodes${cut}; connect again if nodes are replaced`,
  };
}

function nodeAddresses(node: JsonRecord): { readonly type: string; readonly addresses: readonly string[] } {
  const all = recordsOf(recordOf(node.status).addresses);
  const of = (type: string) =>
    all.filter((each) => each.type === type && isIP(String(each.address)) !== 0).map(({ address }) => String(address));
  const external = of('ExternalIP');
  return external.length > 0 ? { type: 'ExternalIP', addresses: external } : { type: 'InternalIP', addresses: of('InternalIP') };
}

function annotatedName(service: JsonRecord): string | undefined {
  const value = recordOf(recordOf(service.metadata).annotations)[EXTERNAL_DNS];
  const [first = ''] = typeof value === 'string' ? value.split(',') : [];
  return /^(?=.{1,253}$)[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/i.test(first.trim()) ? first.trim() : undefined;
}

function split(hosts: readonly string[]): Pick<Destination, 'names' | 'ips'> {
  return { names: hosts.filter((host) => isIP(host) === 0), ips: hosts.filter((host) => isIP(host) !== 0) };
}

/** The records of a list; none where it is no list. */
export function recordsOf(value: unknown): readonly JsonRecord[] {
  return Array.isArray(value) ? value.map(recordOf) : [];
}
