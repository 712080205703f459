/** A remote whose etcd wants certificates, and that tests write and read in plain text all the same. */
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EtcdProcess, startEtcd } from '../etcd/etcd-process.ts';
import { freePort } from '../network/free-port.ts';
import { startTcpProxy } from '../network/tcp-proxy.ts';
import type { Authority, CertificateFiles } from '../tls/certificates.ts';
import { Remote } from './mesh-fixture.ts';

/** Its proxy leads to the address with TLS; everything else goes to the other one. Complete from the start. */
export async function startTlsRemote(
  name: string,
  id: number,
  server: CertificateFiles,
  clients: Pick<Authority, 'caFile'>,
): Promise<Remote> {
  const [plain, secure] = [await freePort(), await freePort()];
  const etcd = await startEtcd({
    tls: { ...server, clientCaFile: clients.caFile },
    args: [`--listen-client-urls=http://127.0.0.1:${plain},https://127.0.0.1:${secure}`],
  });
  const remote = new Remote(name, atPlainAddress(etcd, plain), await startTcpProxy(secure));
  await remote.configure(id);
  await remote.fill('1');
  await remote.announce();
  return remote;
}

function atPlainAddress(etcd: EtcdProcess, port: number): EtcdProcess {
  return {
    binary: etcd.binary,
    endpoint: `http://127.0.0.1:${port}`,
    port,
    metricsEndpoint: etcd.metricsEndpoint,
    dataDir: etcd.dataDir,
    get pid() {
      return etcd.pid;
    },
    get output() {
      return etcd.output;
    },
    stop: () => etcd.stop(),
    kill: () => etcd.kill(),
    pause: () => etcd.pause(),
    resume: () => etcd.resume(),
    restart: (options) => etcd.restart(options),
    [Symbol.asyncDispose]: () => etcd.stop(),
  };
}

export interface ClientFiles extends CertificateFiles {
  readonly caFile: string;
}

/** The configuration of a client of `remote`, with TLS. */
export function tlsConfig(remote: Remote, files: ClientFiles): string {
  return [
    `endpoints: ["https://127.0.0.1:${remote.proxy.port}"]`,
    `trusted-ca-file: ${files.caFile}`,
    `cert-file: ${files.certFile}`,
    `key-file: ${files.keyFile}`,
    '',
  ].join('\n');
}

/** A directory as the kubelet projects a Secret into it: visible names lead through `..data`, which is swapped as a whole. */
export class ProjectedSecret {
  readonly directory: string;
  #version = 0;

  constructor(directory: string) {
    this.directory = directory;
  }

  pathOf(name: string): string {
    return join(this.directory, name);
  }

  /** The files that there are from now on. Files of the first time have links; later ones need none. */
  project(files: Readonly<Record<string, string>>): void {
    this.#version += 1;
    const version = `..v${this.#version}`;
    mkdirSync(this.pathOf(version));
    for (const [name, content] of Object.entries(files)) writeFileSync(this.pathOf(join(version, name)), content);
    symlinkSync(version, this.pathOf('..data_tmp'));
    renameSync(this.pathOf('..data_tmp'), this.pathOf('..data'));
    if (this.#version > 1) return;
    for (const name of Object.keys(files)) symlinkSync(join('..data', name), this.pathOf(name));
  }
}

/** The content of a certificate and its key, under the names that `tlsConfig` is given. */
export function secretOf({ certFile, keyFile }: CertificateFiles): Record<'tls.crt' | 'tls.key', string> {
  return { 'tls.crt': readFileSync(certFile, 'utf8'), 'tls.key': readFileSync(keyFile, 'utf8') };
}
