/** Two etcds of one version, with or without certificates and users, and `kvstoremesh` between them. */

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Etcd3 } from 'etcd3';
import { type EtcdProcess, etcdVersions, startEtcd } from '../support/etcd/etcd-process.ts';
import { etcd3Client, setUpUsers } from '../support/etcd/etcd-users.ts';
import { KvstoremeshProcess } from '../support/kvstoremesh/kvstoremesh-process.ts';
import { FULL } from '../support/kvstoremesh/mesh-fixture.ts';
import { startTcpProxy, type TcpProxy } from '../support/network/tcp-proxy.ts';
import { type Authority, CertificateDirectory, canMakeCertificates } from '../support/tls/certificates.ts';
import { until } from '../support/until.ts';

export interface CellOptions {
  /** `3.5` */
  readonly version: string;
  readonly security: 'plain' | 'certificates and users';
}

/** Why the cell cannot be tested here; undefined where it can. */
export function cellMissing({ version, security }: CellOptions): string | undefined {
  if (!etcdVersions().some(({ minor }) => minor === version)) return `no etcd ${version} on this machine`;
  if (security !== 'plain' && !canMakeCertificates()) return 'no openssl of version 3 in the PATH';
  return undefined;
}

export class Cell implements AsyncDisposable {
  readonly proxy: TcpProxy;
  readonly daemon: KvstoremeshProcess;
  /** Writes arbitrary keys into the remote. */
  readonly #writer: Etcd3;
  /** Has the rights of an agent of the local cluster, and another client than the daemon's. */
  readonly #agent: Etcd3;
  readonly #end: () => Promise<void>;

  private constructor(proxy: TcpProxy, daemon: KvstoremeshProcess, writer: Etcd3, agent: Etcd3, end: () => Promise<void>) {
    this.proxy = proxy;
    this.daemon = daemon;
    this.#writer = writer;
    this.#agent = agent;
    this.#end = end;
  }

  /** Everything runs; the remote is empty. */
  static async start({ version, security }: CellOptions): Promise<Cell> {
    const certificates = security === 'plain' ? undefined : new CertificateDirectory();
    const authority = certificates?.authority('mesh');
    const [local, remote] = await Promise.all([startSecured(version, authority), startSecured(version, authority)]);
    const clients: Etcd3[] = [];
    const client = (etcd: EtcdProcess, user: string) => {
      const made = etcd3Client(etcd.endpoint, authority && { authority, user });
      clients.push(made);
      return made;
    };
    const writer = client(remote, 'root');
    if (authority !== undefined) {
      await setUpUsers(writer, 'berlin');
      await setUpUsers(client(local, 'root'), 'harbor');
    }
    const proxy = await startTcpProxy(remote.port);
    const localConfig = join(local.dataDir, '..', `cell-${local.port}.yaml`);
    writeFileSync(localConfig, configuration(local.port, authority, 'admin-harbor'));
    const daemon = await KvstoremeshProcess.prepare({ endpoint: localConfig, times: { drainGraceMs: 300, speed: 5 } });
    daemon.configure('berlin', configuration(proxy.port, authority, 'remote'));
    await daemon.start();
    return new Cell(proxy, daemon, writer, client(local, 'local-harbor'), async () => {
      await daemon[Symbol.asyncDispose]();
      for (const each of clients) each.close();
      await proxy.stop();
      await Promise.all([local.stop(), remote.stop()]);
      rmSync(localConfig, { force: true });
    });
  }

  async put(entries: Readonly<Record<string, string>>): Promise<void> {
    for (const [key, value] of Object.entries(entries)) await this.#writer.put(key).value(value).exec();
  }

  async delete(...keys: string[]): Promise<void> {
    for (const key of keys) await this.#writer.delete().key(key).exec();
  }

  async configure(capabilities: object = FULL): Promise<void> {
    await this.put({ 'cilium/cluster-config/berlin': JSON.stringify({ id: 7, capabilities }) });
  }

  /** What an agent reads below `prefix`. */
  async read(prefix: string): Promise<Record<string, string>> {
    return this.#agent.getAll().prefix(prefix).strings();
  }

  /** Resolves when an agent reads exactly `keys` of all that is mirrored. */
  async holds(keys: Readonly<Record<string, string>>): Promise<void> {
    const sorted = (entries: object) => JSON.stringify(Object.entries(entries).sort());
    let last = '';
    const probe = async () => {
      last = sorted(await this.read('cilium/cache/'));
      return last === sorted(keys);
    };
    const status = () => ({ last, log: this.daemon.process.log.slice(-2_000) });
    await until('an agent reads what is mirrored', probe, { withinMs: 30_000, status });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }
}

function startSecured(version: string, authority: Authority | undefined): Promise<EtcdProcess> {
  if (authority === undefined) return startEtcd({ version });
  const server = authority.issue({ name: 'etcd', alternatives: ['IP:127.0.0.1'] });
  return startEtcd({ version, tls: { ...server, clientCaFile: authority.caFile } });
}

function configuration(port: number, authority: Authority | undefined, user: string): string {
  if (authority === undefined) return `endpoints: ["http://127.0.0.1:${port}"]\n`;
  const { certFile, keyFile } = authority.issue({ name: user });
  return [
    `endpoints: ["https://127.0.0.1:${port}"]`,
    `trusted-ca-file: ${authority.caFile}`,
    `cert-file: ${certFile}`,
    `key-file: ${keyFile}`,
    '',
  ].join('\n');
}
