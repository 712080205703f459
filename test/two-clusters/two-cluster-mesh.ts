/**
 * Two clusters out of real processes: *east* exports, over mutual TLS and with users and roles, and *west* mirrors.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Etcd3 } from 'etcd3';
import { stringify } from 'yaml';
import { type EtcdProcess, startEtcd } from '../support/etcd/etcd-process.ts';
import { etcd3Client, setUpUsers } from '../support/etcd/etcd-users.ts';
import { kubectl, kubectlMissing } from '../support/kubernetes/kubectl.ts';
import {
  type KubernetesProvider,
  type Manifest,
  type ProviderName,
  startKubernetes,
} from '../support/kubernetes/kubernetes-provider.ts';
import { freePort } from '../support/network/free-port.ts';
import { startDaemon } from '../support/processes/daemon.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type Authority, CertificateDirectory } from '../support/tls/certificates.ts';

export interface TwoClusters {
  /** Reads all of east's etcd. */
  readonly east: Etcd3;
  /** Reads all of west's etcd. */
  readonly west: Etcd3;
  /** A client of east's etcd with the rights of `user`. */
  eastAs(user: string): Etcd3;
  /** Applies objects to east's Kubernetes: with kubectl where that is installed, else over HTTP. */
  apply(...objects: readonly Manifest[]): Promise<void>;
  /** Deletes them there. */
  remove(...objects: readonly Manifest[]): Promise<void>;
  /** What west's `GET /v1/cluster` answers. */
  status(): Promise<unknown>;
  stop(): Promise<void>;
}

export interface TwoClustersOptions {
  readonly kubernetes: ProviderName;
  readonly etcdVersion?: string | undefined;
}

/** Starts everything and waits until both daemons are ready. */
export async function startTwoClusters(options: TwoClustersOptions): Promise<TwoClusters> {
  const afterwards: (() => unknown)[] = [];
  const stop = async () => {
    for (const end of afterwards.splice(0).reverse()) await end();
  };
  try {
    return { ...(await start(options, (end) => afterwards.push(end))), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Later = (end: () => unknown) => void;

async function start({ kubernetes, etcdVersion }: TwoClustersOptions, later: Later): Promise<Omit<TwoClusters, 'stop'>> {
  const directory = temporaryDirectory('mesh-test');
  const certificates = new CertificateDirectory();
  const authority = certificates.authority('mesh');
  const eastAs = (user: string) => closedLater(etcd3Client(eastEtcd.endpoint, { authority, user }), later);

  const version = etcdVersion === undefined ? {} : { version: etcdVersion };
  const server = authority.issue({ name: 'etcd', alternatives: ['IP:127.0.0.1'] });
  const eastEtcd = await startEtcd({ ...version, tls: { ...server, clientCaFile: authority.caFile } });
  later(() => eastEtcd.stop());
  const westEtcd = await startEtcd(version);
  later(() => westEtcd.stop());
  await setUpUsers(eastAs('root'), 'east');

  const api = await startKubernetes(kubernetes);
  later(() => api.stop());

  const eastConfig = join(directory, 'etcd-config.yaml');
  writeFileSync(eastConfig, etcdConfig(eastEtcd, authority, 'admin-east'));
  const exporting = await startDaemon('clustermesh', [
    ...['--cluster-name=east', '--cluster-id=1', '--clustermesh-enable-mcs-api=true'],
    ...[`--k8s-kubeconfig-path=${api.kubeconfigFile}`, `--kvstore-opt=etcd.config=${eastConfig}`],
  ]);
  later(() => exporting.kill());

  const remotes = join(directory, 'clustermesh');
  mkdirSync(remotes);
  writeFileSync(join(remotes, 'east'), etcdConfig(eastEtcd, authority, 'remote'));
  const statusPort = await freePort();
  const mirroring = await startDaemon('kvstoremesh', [
    ...['--cluster-name=west', '--cluster-id=2', `--api-serve-addr=127.0.0.1:${statusPort}`],
    ...[`--clustermesh-config=${remotes}`, `--kvstore-opt=etcd.address=${westEtcd.endpoint}`],
  ]);
  later(() => mirroring.kill());
  await Promise.all([exporting.ready(), mirroring.ready()]);

  return {
    east: eastAs('admin-east'),
    west: closedLater(etcd3Client(westEtcd.endpoint), later),
    eastAs,
    ...operator(api, directory, later),
    status: async () => (await fetch(`http://127.0.0.1:${statusPort}/v1/cluster`)).json(),
  };
}

function closedLater(client: Etcd3, later: Later): Etcd3 {
  later(() => client.close());
  return client;
}

/** The configuration of an etcd client that shows a certificate of `user`. */
function etcdConfig(etcd: EtcdProcess, authority: Authority, user: string): string {
  const { certFile, keyFile } = authority.issue({ name: user });
  return stringify({
    endpoints: [etcd.endpoint],
    'trusted-ca-file': authority.caFile,
    'cert-file': certFile,
    'key-file': keyFile,
  });
}

/** The writer of Kubernetes objects. */
function operator(api: KubernetesProvider, directory: string, later: Later): Pick<TwoClusters, 'apply' | 'remove'> {
  if (kubectlMissing() !== undefined) {
    return {
      apply: async (...objects) => {
        for (const object of objects) await api.applyObject(object);
      },
      remove: async (...objects) => {
        for (const object of objects) await api.delete(reference(object));
      },
    };
  }
  const cli = kubectl(api.kubeconfigFile);
  later(() => cli[Symbol.dispose]());
  const manifest = join(directory, 'objects.yaml');
  const run = async (objects: readonly Manifest[], ...command: string[]) => {
    writeFileSync(manifest, objects.map((object) => stringify(object)).join('---\n'));
    await cli.run(...command, '-f', manifest);
  };
  return {
    apply: (...objects) => run(objects, 'apply'),
    remove: (...objects) => run(objects, 'delete', '--now'),
  };
}

function reference({ kind, metadata: { name, namespace } }: Manifest): string {
  return [kind, ...(namespace === undefined ? [] : [namespace]), name].join('/');
}
