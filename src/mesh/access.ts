/** What a cluster needs to be connected: its certificates, its Service and its Deployment, read from its API server. */
import { type JsonRecord, recordOf } from '../shared/kubernetes/objects/json.ts';
import { type Certificate, certificatesOf } from '../shared/tls/certificate.ts';
import { type DestinationFacts, recordsOf } from './addresses.ts';
import type { Cluster } from './cluster.ts';

/** Nodes that are read for their addresses. */
export const MAX_NODES = 100;

const SERVICE = 'clustermesh-apiserver';
const CA_SECRET = 'cilium-ca';
const SERVER_SECRET = 'clustermesh-apiserver-server-cert';
export const REMOTE_SECRET = 'clustermesh-apiserver-remote-cert';
/** The ConfigMap of `tls.caBundle`. */
const CA_BUNDLE = 'cilium-root-ca.crt';

export interface ClusterAccess extends DestinationFacts {
  /** The CA that issues the certificates of the cluster; undefined where none could be read. */
  readonly authority: Certificate | undefined;
  /** CAs that the cluster trusts when it connects to others. */
  readonly trusted: readonly Certificate[];
  /** True if the Secret of certificates for remote clusters exists. */
  readonly hasRemoteCertificate: boolean;
  readonly hasKvstoreMesh: boolean;
}

/** Throws ClusterAccessError. */
export async function readAccess(cluster: Cluster): Promise<ClusterAccess> {
  const [service, ca, server, remote, bundle, workload] = await Promise.all([
    cluster.getNamespaced('services', SERVICE),
    cluster.getNamespaced('secrets', CA_SECRET),
    cluster.getNamespaced('secrets', SERVER_SECRET),
    cluster.getNamespaced('secrets', REMOTE_SECRET),
    cluster.getNamespaced('configmaps', CA_BUNDLE),
    readWorkload(cluster),
  ]);
  const nodes = recordOf(service?.spec).type === 'NodePort' ? await readNodes(cluster) : [];
  const mounted = certificatesIn(remote, 'ca.crt');
  const [authority = mounted[0]] = [...certificatesIn(ca, 'ca.crt'), ...certificatesIn(ca, 'tls.crt')];
  const bundled = recordOf(bundle?.data)['ca.crt'];
  return {
    service,
    nodes,
    certificate: certificatesIn(server, 'tls.crt')[0],
    authority,
    trusted: [...mounted, ...(typeof bundled === 'string' ? parsed(bundled) : [])],
    hasRemoteCertificate: remote !== undefined,
    hasKvstoreMesh: containersOf(workload).some(({ name }) => name === 'kvstoremesh'),
  };
}

/** The Deployment, or with a replicated etcd the StatefulSet; undefined where there is neither. Throws ClusterAccessError. */
export async function readWorkload(cluster: Cluster): Promise<JsonRecord | undefined> {
  const deployment = await cluster.getNamespaced('apps/v1/deployments', SERVICE);
  return deployment ?? (await cluster.getNamespaced('apps/v1/statefulsets', SERVICE));
}

/** The containers of a Deployment or StatefulSet. */
export function containersOf(workload: JsonRecord | undefined): readonly JsonRecord[] {
  return recordsOf(recordOf(recordOf(recordOf(workload?.spec).template).spec).containers);
}

/** The certificates of a key of a Secret; none where it does not exist or has no certificate. */
export function certificatesIn(secret: JsonRecord | undefined, key: string): readonly Certificate[] {
  const value = recordOf(secret?.data)[key];
  return typeof value === 'string' ? parsed(Buffer.from(value, 'base64').toString('utf8')) : [];
}

function parsed(pem: string): readonly Certificate[] {
  try {
    return certificatesOf(pem);
  } catch {
    return [];
  }
}

async function readNodes(cluster: Cluster): Promise<readonly JsonRecord[]> {
  return recordsOf((await cluster.get(`/api/v1/nodes?limit=${MAX_NODES}`, 'nodes'))?.items);
}
