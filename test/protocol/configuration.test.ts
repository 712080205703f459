/** Rules 26 to 34: the configuration directory, its files, and the certificates they name. */

import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type EtcdProcess, etcdVersions, startEtcd } from '../support/etcd/etcd-process.ts';
import { ConfigDirectory } from '../support/kvstoremesh/config-directory.ts';
import { KvstoremeshRun } from '../support/kvstoremesh/kvstoremesh-run.ts';
import { Mesh, type Remote, type Store, startFullRemote, startLocal, startRemote } from '../support/kvstoremesh/mesh-fixture.ts';
import { startTcpProxy } from '../support/network/tcp-proxy.ts';
import {
  type Authority,
  CertificateDirectory,
  type CertificateFiles,
  canMakeCertificates,
  replaceFiles,
} from '../support/tls/certificates.ts';
import { until } from '../support/until.ts';
import { changesSince } from './clusters.ts';

vi.setConfig({ maxConcurrency: 3 });

const DRAINLESS = { flags: ['--disable-drain-on-disconnection'] };

/** A directory as Kubernetes makes it of a Secret: names are links into `..data`, which is swapped as a whole. */
class ProjectedSecret extends ConfigDirectory {
  #version = 0;

  project(files: Readonly<Record<string, string>>): void {
    this.#version += 1;
    mkdirSync(join(this.path, `..v${this.#version}`));
    for (const [name, content] of Object.entries(files)) this.write(`..v${this.#version}/${name}`, content);
    symlinkSync(`..v${this.#version}`, join(this.path, '..data_tmp'));
    renameSync(join(this.path, '..data_tmp'), join(this.path, '..data'));
    if (this.#version === 1) for (const name of Object.keys(files)) symlinkSync(`..data/${name}`, join(this.path, name));
  }
}

const endpointsOf = (remote: Remote) => `endpoints: ["${remote.proxy.endpoint}"]\n`;

describe.skipIf(etcdVersions().length === 0).concurrent('the configuration directory', () => {
  test('rule 26: a swap of ..data with equal content reconnects no cluster, and a changed file just its cluster, once', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using turku = await startFullRemote('turku', 8);
    const directory = new ProjectedSecret();
    const files = { berlin: endpointsOf(berlin), turku: endpointsOf(turku) };
    directory.project(files);
    await using daemon = await KvstoremeshRun.start(local, directory, DRAINLESS);
    await daemon.ready();
    const accepted = () => [berlin.proxy.accepted, turku.proxy.accepted];
    const [ofBerlin = 0, ofTurku = 0] = accepted();
    const since = await local.revision();
    directory.project(files);
    // A cluster that comes after the swap shows that this was looked at.
    directory.write('rome', 'endpoints: ["http://127.0.0.1:1"]\n');
    await daemon.until('rome is listed', 'rome', () => true);
    expect(accepted()).toEqual([ofBerlin, ofTurku]);
    directory.project({ ...files, berlin: `${files.berlin}# another\n` });
    await until('berlin is reconnected', () => berlin.proxy.accepted > ofBerlin);
    await daemon.until('it is read again', 'berlin', ({ ready }) => ready);
    directory.remove('rome');
    await until('rome is gone', async () => (await daemon.clusters()).length === 2);
    expect(accepted()).toEqual([ofBerlin + 1, ofTurku]);
    expect((await changesSince(local, since)).map(({ key }) => key)).toEqual([]);
    expect((await daemon.clusters()).map((status) => status['num-failures'])).toEqual([undefined, undefined]);
  });

  test('rules 27, 28: names that are none and files without endpoints are no clusters, and become some when they are made so', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7, {});
    const directory = new ConfigDirectory();
    const unusable = ['harbor', 'Upper', 'under_score', 'dot.ted', '-lead', 'trail-', 'a'.repeat(33)];
    for (const name of unusable) directory.add(berlin, name);
    directory.write('berlin', 'trusted-ca-file: /nowhere\n');
    directory.write('common-etcd-client.crt', 'a certificate\n');
    await using daemon = await KvstoremeshRun.start(local, directory, DRAINLESS);
    await daemon.ready();
    expect(await daemon.clusters()).toEqual([]);
    expect(berlin.proxy.accepted).toBe(0);
    directory.add(berlin);
    await daemon.until('it is connected', 'berlin', ({ ready }) => ready);
    expect((await daemon.clusters()).length).toBe(1);
    expect(daemon.isRunning).toBe(true);
  });

  test('rule 29: a file that is broken or names no endpoint is listed with the reason, and connected when mended', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7, {});
    await berlin.put({ 'cilium/cluster-config/oslo': '{"id":8}' });
    const directory = new ConfigDirectory();
    directory.write('berlin', 'endpoints: ["http://127.0.0.1:1\n');
    directory.write('oslo', 'endpoints: []\n');
    await using daemon = await KvstoremeshRun.start(local, directory, DRAINLESS);
    for (const name of ['berlin', 'oslo']) {
      await daemon.until('the reason is told', name, ({ connected, reason }) => !connected && reason?.match(`/${name}:\\d+: `));
    }
    directory.add(berlin);
    directory.add(berlin, 'oslo');
    for (const name of ['berlin', 'oslo']) await daemon.until('it is connected', name, ({ ready }) => ready);
  });

  test('rule 30: a file that is written repeatedly ends with its last content, and nothing is removed in between', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using other = await startFullRemote('berlin', 7);
    await other.fill('2');
    const directory = new ConfigDirectory();
    directory.add(berlin);
    await using daemon = await KvstoremeshRun.start(local, directory);
    await daemon.ready();
    const since = await local.revision();
    for (let round = 0; round < 20; round += 1) {
      directory.write('berlin', '');
      directory.add(round % 2 === 0 ? berlin : other);
      if (round % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const wanted = Object.keys({ ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') }).sort();
    await until('the last one is mirrored', async () => {
      return JSON.stringify(Object.keys(await local.dump('cilium/cache/')).sort()) === JSON.stringify(wanted);
    });
    expect((await changesSince(local, since)).filter(({ type }) => type === 'delete')).toEqual([]);
    expect((await daemon.clusters()).map(({ name }) => name)).toEqual(['berlin']);
  });
});

const HOST = 'berlin.mesh.test';

describe.skipIf(etcdVersions().length === 0 || !canMakeCertificates()).concurrent('a file that names certificates', () => {
  const certificates = new CertificateDirectory();
  let authority: Authority;
  let user: CertificateFiles;
  let etcd: EtcdProcess;
  let source: Store;

  beforeAll(async () => {
    authority = certificates.authority('mesh');
    user = authority.issue({ name: 'remote' });
    const server = authority.issue({ name: 'etcd', alternatives: [`DNS:${HOST}`] });
    const plain = await startRemote('berlin');
    await plain.configure(7, {});
    await plain.process.kill();
    etcd = await startEtcd({ dataDir: plain.process.dataDir, tls: { ...server, clientCaFile: authority.caFile } });
    source = plain;
  });
  afterAll(async () => {
    await etcd.stop();
    await source[Symbol.asyncDispose]();
  });

  const file = (port: number, { certFile, keyFile }: CertificateFiles, aliases = `- {hostname: ${HOST}, ips: [127.0.0.1]}`) =>
    [
      `endpoints: ["https://${HOST}:${port}"]`,
      `trusted-ca-file: ${authority.caFile}`,
      `cert-file: ${certFile}`,
      `key-file: ${keyFile}`,
      'cilium-host-aliases:',
      aliases,
      '',
    ].join('\n');

  test('rule 33: with an alias for a host without DNS connects, verified by that name; a duplicate alias is reported', async () => {
    await using local = await startLocal();
    await using mesh = new Mesh(local);
    mesh.addFile('berlin', file(etcd.port, user));
    await mesh.synced('berlin');
    const alias = `- {hostname: ${HOST}, ips: [127.0.0.1]}`;
    mesh.changeFile('berlin', file(etcd.port, user, `${alias}\n${alias}`));
    await mesh.until('the error is told', 'berlin', ({ reason }) => reason?.includes(`"${HOST}" is duplicated`));
    mesh.changeFile('berlin', file(etcd.port, user));
    await mesh.synced('berlin');
    await mesh.until('it is connected', 'berlin', ({ ready }) => ready);
    mesh.changeFile('berlin', file(etcd.port, user).replaceAll(HOST, 'other.mesh.test'));
    await mesh.until(
      'the name is refused',
      'berlin',
      ({ connected, reason }) => !connected && reason?.includes('other.mesh.test'),
    );
  });

  test('rule 34: with missing TLS files is reported, and connected once they exist', async () => {
    await using local = await startLocal();
    await using mesh = new Mesh(local);
    const placed = certificates.place(user);
    rmSync(placed.keyFile);
    mesh.addFile('berlin', file(etcd.port, placed));
    await mesh.until('the lack is told', 'berlin', ({ reason }) => reason?.includes(`key-file ${placed.keyFile}`));
    replaceFiles(placed, user);
    await mesh.synced('berlin');
  });

  test('rule 32: that change is connected with the new ones without a change of its own; a refused one is overcome', async () => {
    await using local = await startLocal();
    await using proxy = await startTcpProxy(etcd.port);
    await using mesh = new Mesh(local);
    const stranger = certificates.authority('stranger').issue({ name: 'remote' });
    const placed = certificates.place(stranger);
    mesh.addFile('berlin', file(proxy.port, placed));
    await mesh.until('it is refused', 'berlin', ({ connected, reason }) => !connected && reason !== undefined);
    replaceFiles(placed, user);
    await mesh.synced('berlin');
    const { accepted } = proxy;
    replaceFiles(placed, authority.issue({ name: 'remote' }));
    await until('there is a new connection', () => proxy.accepted > accepted && proxy.connections === 1, { withinMs: 45_000 });
    await mesh.until('it goes on', 'berlin', ({ ready }) => ready);
    expect(mesh.status('berlin')?.['num-failures']).toBeUndefined();
  });
});
