/** The members of a replicated etcd as in a StatefulSet: each has an address and a data directory of its own, etcdinit and etcd. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EtcdAdminClient } from '../../src/shared/etcd/client.ts';
import type { Member } from '../../src/shared/etcd/types.ts';
import { openClient, soon } from '../support/etcd/etcd-client.ts';
import type { EtcdBinary } from '../support/etcd/etcd-server.ts';
import { freePort } from '../support/network/free-port.ts';
import { type Child, type Outcome, startChild } from '../support/processes/child.ts';
import { type Authority, CertificateDirectory, type CertificateFiles } from '../support/tls/certificates.ts';
import { until } from '../support/until.ts';

const main = fileURLToPath(new URL('./member-main.ts', import.meta.url));

/** Each run has a network of its own in 127/8: ports are taken on one address. */
const network = `127.${1 + Math.floor(Math.random() * 250)}.${Math.floor(Math.random() * 250)}`;

export class MembersRig implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'members-'));
  readonly authority: Authority;
  readonly members: readonly MemberPod[];
  readonly #certificates = new CertificateDirectory();
  readonly #ports: { readonly client: number; readonly peer: number };
  readonly #clients: EtcdAdminClient[] = [];

  private constructor(binary: EtcdBinary, ports: { readonly client: number; readonly peer: number }, count: number) {
    this.#ports = ports;
    this.authority = this.#certificates.authority('mesh');
    const bin = join(this.directory, 'bin');
    mkdirSync(bin);
    symlinkSync(binary.path, join(bin, 'etcd'));
    const hosts = Array.from({ length: count }, (_, index) => `${network}.${index + 1}`);
    const alternatives = hosts.map((host) => `IP:${host}`);
    const admin = this.authority.issue({ name: 'admin-harbor' });
    writeFileSync(
      join(this.directory, 'etcd-config.yaml'),
      `endpoints: [https://127.0.0.1:1]\ntrusted-ca-file: ${this.authority.caFile}\ncert-file: ${admin.certFile}\nkey-file: ${admin.keyFile}\n`,
    );
    const server = this.authority.issue({ name: 'server', alternatives });
    const peer = this.authority.issue({ name: 'peer-harbor', alternatives });
    const initialCluster = hosts.map((host, index) => `mesh-${index}=https://${host}:${ports.peer}`).join(',');
    this.members = hosts.map(
      (host, index) =>
        new MemberPod({
          name: `mesh-${index}`,
          host,
          ports,
          server,
          peer,
          initialCluster,
          binary,
          rig: this.directory,
          ca: this.authority.caFile,
        }),
    );
    this.setAbsent();
  }

  /** No Pod exists at first but the first. */
  static async create(binary: EtcdBinary, count = 3): Promise<MembersRig> {
    return new MembersRig(binary, { client: await freePort(), peer: await freePort() }, count);
  }

  member(index: number): MemberPod {
    return this.members[index] as MemberPod;
  }

  /** The Pods that do not exist; all others do. */
  setAbsent(...indexes: readonly number[]): void {
    writeFileSync(join(this.directory, 'absent.json'), JSON.stringify(indexes.map((index) => this.member(index).host)));
  }

  /** A shell script in the place of the etcd that etcdinit starts. */
  setEtcd(script: string): void {
    const path = join(this.directory, 'bin/etcd');
    rmSync(path, { force: true });
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }

  /** A peer certificate of another common name, for all members. */
  peerCertificate(name: string): CertificateFiles {
    return this.authority.issue({ name, alternatives: this.members.map(({ host }) => `IP:${host}`) });
  }

  /** A client with all rights, of some members or all; closed with the rig. */
  client(...indexes: readonly number[]): EtcdAdminClient {
    const chosen = indexes.length === 0 ? this.members : indexes.map((index) => this.member(index));
    const config = {
      endpoints: chosen.map(({ host }) => `https://${host}:${this.#ports.client}`),
      caFile: this.authority.caFile,
      ...this.authority.issue({ name: 'admin-harbor' }),
    };
    const client = openClient([], { config });
    this.#clients.push(client);
    return client;
  }

  /** The names of the voting members; others are shown with what they are. */
  async names(...indexes: readonly number[]): Promise<readonly string[]> {
    const members = await this.client(...indexes).members.list(soon());
    return members.map(({ name, isLearner }: Member) => `${name || 'not started'}${isLearner ? ' (learner)' : ''}`).sort();
  }

  /** Sets up and starts the first `count` members, one after the other, as a StatefulSet does. */
  async startAll(count = this.members.length): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      this.setAbsent(...this.members.keys().filter((other) => other > index));
      await this.member(index).setUp();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    for (const member of this.members) await member.kill();
    this.#certificates.remove();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

interface PodOptions {
  readonly name: string;
  readonly host: string;
  readonly ports: { readonly client: number; readonly peer: number };
  readonly server: CertificateFiles;
  readonly peer: CertificateFiles;
  readonly initialCluster: string;
  readonly binary: EtcdBinary;
  readonly rig: string;
  readonly ca: string;
}

export class MemberPod {
  readonly dataDir: string;
  readonly #options: PodOptions;
  #etcd: ChildProcess | undefined;
  #output = '';

  constructor(options: PodOptions) {
    this.#options = options;
    this.dataDir = join(options.rig, options.name);
    mkdirSync(this.dataDir, { mode: 0o700 });
  }

  get host(): string {
    return this.#options.host;
  }

  get name(): string {
    return this.#options.name;
  }

  get peerUrl(): string {
    return `https://${this.#options.host}:${this.#options.ports.peer}`;
  }

  /** The container etcd-init. */
  startInit(...flags: readonly string[]): Child {
    const { name, ports, peer, ca, initialCluster, rig } = this.#options;
    const args = [
      ...['--disable-warning=ExperimentalWarning', main, join(rig, 'absent.json'), '--cluster-name=harbor', '--debug'],
      `--etcd-data-dir=${this.dataDir}`,
      `--etcd-member-name=${name}`,
      `--etcd-initial-cluster=${initialCluster}`,
      `--etcd-client-port=${ports.client}`,
      `--etcd-peer-cert-file=${peer.certFile}`,
      `--etcd-peer-key-file=${peer.keyFile}`,
      `--etcd-peer-trusted-ca-file=${ca}`,
      `--kvstore-opt=etcd.config=${join(rig, 'etcd-config.yaml')}`,
      ...flags,
    ];
    return startChild(process.execPath, args, { env: { PATH: `${join(rig, 'bin')}:${process.env.PATH ?? ''}` } });
  }

  async init(...flags: readonly string[]): Promise<Outcome> {
    await using child = this.startInit(...flags);
    return await child.outcome;
  }

  /** The container etcd, with the arguments that docs/running.md names. */
  start(): void {
    const { name, host, ports, server, peer, ca, binary } = this.#options;
    const client = `https://${host}:${ports.client}`;
    const peerUrl = `https://${host}:${ports.peer}`;
    const args = [
      `--name=${name}`,
      `--data-dir=${this.dataDir}`,
      ...['--client-cert-auth', `--trusted-ca-file=${ca}`, `--cert-file=${server.certFile}`, `--key-file=${server.keyFile}`],
      ...[`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`],
      ...[`--listen-peer-urls=${peerUrl}`, `--initial-advertise-peer-urls=${peerUrl}`, `--initial-cluster=${name}=${peerUrl}`],
      ...['--peer-client-cert-auth', `--peer-trusted-ca-file=${ca}`],
      ...[`--peer-cert-file=${peer.certFile}`, `--peer-key-file=${peer.keyFile}`],
      ...['--peer-cert-allowed-cn=peer-harbor', '--peer-skip-client-san-verification', '--log-level=warn'],
    ];
    const etcd = spawn(binary.path, args, { stdio: ['ignore', 'pipe', 'pipe'], env: {} });
    this.#etcd = etcd;
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-20_000);
    };
    etcd.stdout.on('data', keep);
    etcd.stderr.on('data', keep);
  }

  get output(): string {
    return this.#output;
  }

  /** Both containers, one after the other. */
  async setUp(): Promise<Outcome> {
    const outcome = await this.init();
    if (outcome.status !== 0) throw new Error(`${this.name}: ${outcome.stderr.slice(-3_000)}`);
    this.start();
    return outcome;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const etcd = this.#etcd;
    if (etcd === undefined || etcd.exitCode !== null || etcd.signalCode !== null) return;
    const ended = new Promise((resolve) => etcd.once('exit', resolve));
    etcd.kill(signal);
    await ended;
  }

  /** Kills etcd and deletes its data. */
  async lose(): Promise<void> {
    await this.kill();
    rmSync(this.dataDir, { recursive: true, force: true });
    mkdirSync(this.dataDir, { mode: 0o700 });
  }
}

/** Resolves when a request to one of the members, or to all, is answered. */
export async function serves(rig: MembersRig, ...indexes: readonly number[]): Promise<void> {
  const client = rig.client(...indexes);
  await until('etcd serves requests', async () => (await client.members.list({ ...soon(), timeoutMs: 2_000 })).length, {
    status: () => rig.members.map(({ output }) => output.slice(-600)),
  });
}
