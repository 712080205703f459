/** A mesh as it runs in production, with TLS, users and heartbeats, and the findings of the doctor about it. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { etcdCheckTools } from '../../src/cli/debug/etcd-check-tools.ts';
import { meshRoles } from '../../src/etcdinit/roles.ts';
import { builtinUsers } from '../../src/shared/builtin-users.ts';
import type { Finding } from '../../src/shared/diagnosis/finding.ts';
import { examineMesh, type MeshDoctorOptions } from '../../src/shared/doctor/doctor.ts';
import type { EtcdAdminClient } from '../../src/shared/etcd/client.ts';
import { canaryKey, clusterConfigKey, HEARTBEAT_KEY, STATE } from '../../src/shared/etcd/keyspace.ts';
import { keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { openClient, soon } from '../support/etcd/etcd-client.ts';
import { type EtcdOptions, type EtcdProcess, startEtcd } from '../support/etcd/etcd-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type Authority, CertificateDirectory, type CertificateFiles } from '../support/tls/certificates.ts';

/** Certificates that are far from their end. */
const DAYS = 400;

const HOST = 'etcd.mesh.test';
const SERVER = { name: 'etcd', alternatives: [`DNS:${HOST}`, 'DNS:localhost', 'IP:127.0.0.1'], days: DAYS };

const CAPABILITIES = { syncedCanaries: true, maxConnectedClusters: 255, serviceExportsEnabled: true };

const certificates = new CertificateDirectory();

/** The authority of the mesh, one that nobody trusts, and what they have issued. */
export class Pki {
  readonly authority = certificates.authority('mesh', DAYS);
  readonly stranger = certificates.authority('stranger', DAYS);
  readonly server = this.authority.issue(SERVER);
  readonly remote = this.client('remote');

  client(name: string, authority: Authority = this.authority): CertificateFiles {
    return authority.issue({ name, days: DAYS });
  }

  serverOf(request: Partial<typeof SERVER> & { readonly usages?: string }, authority: Authority = this.authority) {
    return authority.issue({ ...SERVER, ...request });
  }

  expiredServer(): CertificateFiles {
    return this.authority.issueExpired(SERVER);
  }

  earlyServer(): CertificateFiles {
    return this.authority.issueEarly(SERVER);
  }
}

/** The etcd of one cluster, with the client of an administrator. */
export class MeshEtcd implements AsyncDisposable {
  readonly name: string;
  readonly id: number;
  readonly process: EtcdProcess;
  readonly admin: EtcdAdminClient;

  constructor(name: string, id: number, process: EtcdProcess, admin: EtcdAdminClient) {
    this.name = name;
    this.id = id;
    this.process = process;
    this.admin = admin;
  }

  static async start(name: string, id: number, pki: Pki, options: EtcdOptions = {}): Promise<MeshEtcd> {
    const tls = { ...pki.server, clientCaFile: pki.authority.caFile };
    const process = await startEtcd({ tls, ...options });
    const config = { endpoints: [process.endpoint], caFile: pki.authority.caFile, ...pki.client(`admin-${name}`) };
    const etcd = new MeshEtcd(name, id, process, openClient(process.endpoint, { config }));
    await etcd.#fill();
    return etcd;
  }

  async put(key: string, value: string | Buffer): Promise<void> {
    await this.admin.txn([{ type: 'put', key: keyOf(key), value: Buffer.from(value), lease: NO_LEASE }], soon());
  }

  async delete(key: string): Promise<void> {
    await this.admin.txn([{ type: 'delete', key: keyOf(key) }], soon());
  }

  async configure(config: object = {}, capabilities: object = CAPABILITIES): Promise<void> {
    await this.put(clusterConfigKey(this.name), JSON.stringify({ id: this.id, capabilities, ...config }));
  }

  async beat(atMs = Date.now()): Promise<void> {
    await this.put(HEARTBEAT_KEY, new Date(atMs).toISOString());
  }

  async #fill(): Promise<void> {
    const { auth } = this.admin;
    await this.configure();
    await this.beat();
    await this.put(canaryKey(this.name, STATE, 'nodes/v1'), 'x');
    await this.put(`${STATE}nodes/v1/${this.name}/node`, '{}');
    for (const { name, permissions } of meshRoles(this.name)) {
      await auth.addRole(name, soon());
      for (const permission of permissions) await auth.grantPermission(name, permission, soon());
    }
    for (const { name, role } of builtinUsers(this.name)) {
      await auth.addUser(name, soon());
      await auth.grantRole(name, role, soon());
    }
    await auth.enable(soon());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.admin.close();
    await this.process.stop();
  }
}

/** Of a configuration file. */
export interface FileOptions {
  readonly endpoints?: readonly string[];
  readonly files?: CertificateFiles | undefined;
  readonly caFile?: string;
  /** Further lines. */
  readonly more?: string;
}

export type ExamineOptions = Partial<MeshDoctorOptions>;

/** `harbor` (ID 200) with the remotes `berlin` (7) and `oslo` (8). */
export class Mesh implements AsyncDisposable {
  readonly pki = new Pki();
  readonly directory = temporaryDirectory('doctor');
  readonly #all = new Map<string, MeshEtcd>();
  readonly #undo: (() => unknown)[] = [];

  static async start(options: EtcdOptions = {}): Promise<Mesh> {
    const mesh = new Mesh();
    const start = (name: string, id: number, etcd: EtcdOptions = {}) => MeshEtcd.start(name, id, mesh.pki, etcd);
    const all = await Promise.all([start('harbor', 200, options), start('berlin', 7), start('oslo', 8)]);
    for (const etcd of all) mesh.#all.set(etcd.name, etcd);
    mesh.reset();
    return mesh;
  }

  of(name: 'harbor' | 'berlin' | 'oslo'): MeshEtcd {
    return this.#all.get(name) as MeshEtcd;
  }

  /** The file of the local etcd. */
  readonly localConfig = join(temporaryDirectory('local'), 'etcd-config.yaml');

  /** What ends a fault: done by `heal`, the last one first. */
  onHeal(undo: () => unknown): void {
    this.#undo.push(undo);
  }

  /** Ends all faults. */
  async heal(): Promise<void> {
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) await undo();
    this.reset();
  }

  /** Every file leads to its etcd. */
  reset(): void {
    for (const name of ['berlin', 'oslo'] as const) this.write(name);
    writeFileSync(this.localConfig, this.file('harbor', { files: this.pki.client('admin-harbor') }));
  }

  file(name: 'harbor' | 'berlin' | 'oslo', options: FileOptions = {}): string {
    const { endpoints = [this.of(name).process.endpoint], caFile = this.pki.authority.caFile, more = '' } = options;
    const files = 'files' in options ? options.files : this.pki.remote;
    return [
      'endpoints:',
      ...endpoints.map((url) => `- ${url}`),
      `trusted-ca-file: ${caFile}`,
      ...(files === undefined ? [] : [`cert-file: ${files.certFile}`, `key-file: ${files.keyFile}`]),
      more,
      '',
    ].join('\n');
  }

  write(name: 'berlin' | 'oslo', options: FileOptions = {}): void {
    this.writeFile(name, this.file(name, options));
  }

  writeFile(name: string, content: string): void {
    writeFileSync(join(this.directory, name), content);
  }

  /** The directory of the remote clusters without the file. */
  remove(name: string): void {
    rmSync(join(this.directory, name), { force: true });
  }

  async examine(options: ExamineOptions = {}): Promise<readonly Finding[]> {
    return examineMesh({
      tools: etcdCheckTools,
      timeoutMs: 4_000,
      localConfig: this.localConfig,
      metricsUrl: `${this.of('harbor').process.metricsEndpoint}/metrics`,
      own: { name: 'harbor' },
      directory: this.directory,
      clusters: [],
      ...options,
    });
  }

  /** What is not in order: check, verdict and subject. */
  async problems(options: ExamineOptions = {}): Promise<readonly string[]> {
    return shown(await this.examine(options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.heal();
    for (const etcd of this.#all.values()) await etcd[Symbol.asyncDispose]();
  }
}

/** `dns error berlin`, of those that are not ok. */
export function shown(findings: readonly Finding[]): readonly string[] {
  return findings
    .filter(({ verdict }) => verdict !== 'ok')
    .map(({ check, verdict, subject }) => `${check} ${verdict} ${subject}`);
}
