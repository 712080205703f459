/**
 * A real kube-apiserver for tests, in a container next to one of etcd; otherwise the same as the process, with the same arguments.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ContainerPlan, startContainer } from '../containers/container-engine.ts';
import { ETCD_CLIENT_PORT, startEtcdContainer } from '../containers/etcd-container.ts';
import { freePort } from '../network/free-port.ts';
import { CertificateDirectory, type CertificateFiles } from '../tls/certificates.ts';
import {
  type KubeApiserver,
  SERVER_FILES,
  serverFlags,
  tokenKubeconfig,
  untilServing,
  writeServerFiles,
} from './kube-apiserver.ts';
import { KubernetesRequests } from './kubernetes-requests.ts';

export const KUBE_APISERVER_IMAGE = 'registry.k8s.io/kube-apiserver:v1.34.3';
const PORT = 6443;
const FILES = '/kube-apiserver-test';

export interface KubeApiserverContainerOptions {
  /** A port of this machine. */
  readonly port: number;
  /** Where `writeServerFiles` has written. */
  readonly directory: string;
  readonly certificate: CertificateFiles;
  /** Where an etcd is reached as `etcd`. */
  readonly network: string;
}

/** The container that is started for `options`. */
export function kubeApiserverContainer({ port, directory, certificate, network }: KubeApiserverContainerOptions): ContainerPlan {
  const inside = (name: string) => `${FILES}/${name}`;
  return {
    image: KUBE_APISERVER_IMAGE,
    command: [
      '/usr/local/bin/kube-apiserver',
      ...serverFlags(`http://etcd:${ETCD_CLIENT_PORT}`, inside),
      `--secure-port=${PORT}`,
      `--tls-cert-file=${inside('tls.crt')}`,
      `--tls-private-key-file=${inside('tls.key')}`,
    ],
    ports: [{ container: PORT, host: port }],
    files: [
      ...SERVER_FILES.map((name) => ({ source: join(directory, name), target: inside(name) })),
      { source: certificate.certFile, target: inside('tls.crt') },
      { source: certificate.keyFile, target: inside('tls.key') },
    ],
    health: { path: '/readyz', port: PORT, isTls: true },
    network: { name: network, alias: 'kube-apiserver' },
  };
}

/** Starts both containers and waits until the server serves every kind the project reads. */
export async function startKubeApiserverContainer(): Promise<KubeApiserver> {
  const afterwards: (() => unknown)[] = [];
  const stop = async () => {
    for (const end of afterwards.splice(0).reverse()) await end();
  };
  try {
    return { ...(await start((end) => afterwards.push(end))), stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  later: (end: () => unknown) => void,
): Promise<Pick<KubeApiserver, 'url' | 'kubeconfig' | 'requests' | 'etcd'>> {
  const { Network } = await import('testcontainers');
  const directory = mkdtempSync(join(tmpdir(), 'kube-apiserver-test-'));
  later(() => rmSync(directory, { recursive: true, force: true }));
  const certificates = new CertificateDirectory();
  later(() => certificates.remove());
  const authority = certificates.authority('kubernetes');
  const certificate = authority.issue({ name: 'kube-apiserver', alternatives: ['IP:127.0.0.1'] });
  const token = randomBytes(16).toString('hex');
  writeServerFiles(directory, token);

  const network = await new Network().start();
  later(() => network.stop());
  const etcd = await startEtcdContainer({
    port: await freePort(),
    metricsPort: await freePort(),
    network: network.getName(),
  });
  later(() => etcd.stop());
  const port = await freePort();
  const container = await startContainer(kubeApiserverContainer({ port, directory, certificate, network: network.getName() }));
  later(() => container.remove());

  const url = `https://127.0.0.1:${port}`;
  const ca = readFileSync(authority.caFile);
  const requests = new KubernetesRequests({ url, token, ca: () => ca });
  later(() => requests.close());
  await untilServing(requests, () => container.output);
  return { url, kubeconfig: tokenKubeconfig(url, token, ca), requests, etcd };
}
