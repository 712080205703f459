/** The etcd of a cluster as agents and remote clusters reach it: through the node port, with the certificate of a Secret. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EtcdClient } from '../../src/shared/etcd/types.ts';
import type { RealCluster } from '../support/cluster/real-cluster.ts';
import { openClient } from '../support/etcd/etcd-client.ts';
import { NAMESPACE } from './cilium.ts';

export interface MeshClientOptions {
  /** The middle of the name of the Secret. */
  readonly user: 'local' | 'remote' | 'admin';
  readonly port: number;
  /** Below it the files of the Secret are written. */
  readonly directory: string;
}

export async function meshClient(cluster: RealCluster, options: MeshClientOptions): Promise<EtcdClient> {
  const files = await writeSecret(cluster, options);
  const host = `${cluster.name}.mesh.cilium.io`;
  return openClient([], {
    name: cluster.name,
    config: {
      endpoints: [`https://${host}:${options.port}`],
      hostAliases: new Map([[host, [cluster.nodeAddress]]]),
      caFile: join(files, 'ca.crt'),
      certFile: join(files, 'tls.crt'),
      keyFile: join(files, 'tls.key'),
    },
  });
}

/** What the kubelet does for agents: writes the Secret as it is now. The client reads changed files. Returns their directory. */
export async function writeSecret(cluster: RealCluster, { user, directory }: MeshClientOptions): Promise<string> {
  const secret = await cluster.requests.get(`/api/v1/namespaces/${NAMESPACE}/secrets/clustermesh-apiserver-${user}-cert`);
  const { data } = secret as { readonly data: Readonly<Record<string, string>> };
  const files = join(directory, `${cluster.name}-${user}`);
  mkdirSync(files, { recursive: true });
  for (const [file, content] of Object.entries(data))
    writeFileSync(join(files, file), Buffer.from(content, 'base64'), { mode: 0o600 });
  return files;
}
