/** Runs of `certs` against a real kube-apiserver, a namespace for each test. */
import { createPrivateKey } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll } from 'vitest';
import { type CheckReport, check } from '../../src/certs/check.ts';
import { checkFlagTable, generateFlagTable, rotateFlagTable } from '../../src/certs/flags.ts';
import { generate } from '../../src/certs/generate.ts';
import { issueAuthority, issueLeaf } from '../../src/certs/issue.ts';
import { type RotationStep, rotateCa } from '../../src/certs/rotate.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { type Certificate, certificateOf, certificatesOf } from '../../src/shared/tls/certificate.ts';
import { type KubernetesProvider, startKubernetes } from '../support/kubernetes/kubernetes-provider.ts';
import type { CertificateFiles } from '../support/tls/certificates.ts';

export const CA = 'cilium-ca';
export const SERVER = 'clustermesh-apiserver-server-cert';
export const ADMIN = 'clustermesh-apiserver-admin-cert';
export const REMOTE = 'clustermesh-apiserver-remote-cert';
export const LOCAL = 'clustermesh-apiserver-local-cert';
export const PEER = 'clustermesh-apiserver-peer-cert';
/** Those of an etcd with a single member. */
export const LEAVES = [SERVER, ADMIN, REMOTE, LOCAL] as const;

export const DAY_MS = 24 * 3_600_000;

export interface Secret {
  readonly type?: string;
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly data: Readonly<Record<string, string>>;
}

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly secret?: string;
  readonly reasons?: readonly string[];
}

/** A certificate of a CA that the cluster does not know, and that CA. */
export function foreign(lifeMs = 365 * DAY_MS): Readonly<Record<string, string>> {
  const validity = { notBeforeMs: Date.now() - 365 * DAY_MS, notAfterMs: Date.now() + lifeMs };
  const ca = issueAuthority({ commonName: 'Corporate', ...validity });
  const signer = { certificate: certificateOf(Buffer.from(ca.certificate)), key: createPrivateKey(ca.key) };
  const leaf = issueLeaf({ commonName: 'admin-east', dnsNames: [], ipAddresses: [], usage: 'client', ...validity }, signer);
  return { 'ca.crt': ca.certificate, 'tls.crt': leaf.certificate, 'tls.key': leaf.key };
}

export const HELM = {
  labels: { 'app.kubernetes.io/managed-by': 'Helm' },
  annotations: { 'meta.helm.sh/release-name': 'cilium' },
};
export const CERT_MANAGER = { annotations: { 'cert-manager.io/certificate-name': 'clustermesh-apiserver-admin' } };

/** The API server, and a directory for files. */
export class CertsWorld implements AsyncDisposable {
  readonly kubernetes: KubernetesProvider;
  readonly directory = mkdtempSync(join(tmpdir(), 'certs-test-'));
  #namespaces = 0;

  constructor(kubernetes: KubernetesProvider) {
    this.kubernetes = kubernetes;
  }

  static async start(): Promise<CertsWorld> {
    return new CertsWorld(await startKubernetes('real'));
  }

  async namespace(): Promise<Cluster> {
    this.#namespaces += 1;
    const name = `mesh-${this.#namespaces}`;
    await this.kubernetes.requests.create('/api/v1/namespaces', { metadata: { name } });
    return new Cluster(this, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kubernetes.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** What stands for a cluster: a namespace with its Secrets. */
export class Cluster {
  readonly name: string;
  readonly world: CertsWorld;
  /** Lines of all runs, as they are written. */
  readonly lines: string[] = [];
  /** Added to the time of each run. */
  laterMs = 0;
  kubeconfig: string;
  #directories = 0;

  constructor(world: CertsWorld, name: string) {
    this.world = world;
    this.name = name;
    this.kubeconfig = world.kubernetes.kubeconfigFile;
  }

  get nowMs(): number {
    return Date.now() + this.laterMs;
  }

  async generate(...argv: readonly string[]): Promise<readonly LogLine[]> {
    const before = this.lines.length;
    const flags = parseFlags(generateFlagTable, this.#argv(argv), {});
    if (flags === 'help') throw new Error('it was not asked for help');
    await generate(flags.values, this.#run());
    return this.#linesFrom(before);
  }

  async rotate(step: RotationStep, ...argv: readonly string[]): Promise<readonly LogLine[]> {
    const before = this.lines.length;
    const flags = parseFlags(rotateFlagTable, this.#argv(argv), {});
    if (flags === 'help') throw new Error('it was not asked for help');
    await rotateCa(step, flags.values, this.#run());
    return this.#linesFrom(before);
  }

  async check(...argv: readonly string[]): Promise<CheckReport> {
    const flags = parseFlags(checkFlagTable, this.#argv(argv), {});
    if (flags === 'help') throw new Error('it was not asked for help');
    return check(flags.values, this.#run());
  }

  path(name = ''): string {
    return `/api/v1/namespaces/${this.name}/secrets${name === '' ? '' : `/${name}`}`;
  }

  async secret(name: string): Promise<Secret> {
    const found = await this.world.kubernetes.requests.get(this.path(name));
    if (found === undefined) throw new Error(`no Secret ${name}`);
    return found as Secret;
  }

  async value(name: string, key: string): Promise<string> {
    return Buffer.from((await this.secret(name)).data[key] ?? '', 'base64').toString();
  }

  async certificate(name: string, key = 'tls.crt'): Promise<Certificate> {
    const [first] = certificatesOf(await this.value(name, key));
    if (first === undefined) throw new Error('no certificate');
    return first;
  }

  /** Serial numbers of what a Secret trusts. */
  async trusted(name: string): Promise<readonly string[]> {
    return certificatesOf(await this.value(name, 'ca.crt')).map(({ serialNumber }) => serialNumber);
  }

  async versions(): Promise<Readonly<Record<string, string>>> {
    const all = await Promise.all([CA, ...LEAVES].map((name) => this.secret(name)));
    return Object.fromEntries(all.map(({ metadata }) => [metadata.name, metadata.resourceVersion]));
  }

  async create(name: string, data: Readonly<Record<string, string>>, metadata: object = {}, more: object = {}): Promise<void> {
    const object = { type: 'kubernetes.io/tls', metadata: { name, ...metadata }, stringData: data, ...more };
    await this.world.kubernetes.requests.create(this.path(), object);
  }

  async patch(name: string, patch: object): Promise<void> {
    await this.world.kubernetes.requests.patch(this.path(name), 'merge-patch', patch);
  }

  /** Replaces texts of a Secret, as somebody with kubectl may. */
  async spoil(name: string, data: Readonly<Record<string, string>>): Promise<void> {
    await this.patch(name, { stringData: data });
  }

  /** Files as they are mounted; the same directory each time for the same `place`. */
  async mount(name: string, place?: string): Promise<CertificateFiles & { readonly caFile: string; readonly directory: string }> {
    this.#directories += 1;
    const directory = place ?? join(this.world.directory, `${this.name}-${this.#directories}`);
    mkdirSync(directory, { recursive: true });
    const { data } = await this.secret(name);
    for (const [key, value] of Object.entries(data)) writeFileSync(join(directory, key), Buffer.from(value, 'base64'));
    const file = (key: string) => join(directory, key);
    return { directory, caFile: file('ca.crt'), certFile: file('tls.crt'), keyFile: file('tls.key') };
  }

  #argv(argv: readonly string[]): string[] {
    const own = [`--k8s-kubeconfig-path=${this.kubeconfig}`, `--namespace=${this.name}`, '--cluster-name=east'];
    return [...own, '--k8s-client-qps=0', ...argv];
  }

  #run() {
    const log = pino(
      { messageKey: 'msg', formatters: { level: (level) => ({ level }) } },
      { write: (line: string) => void this.lines.push(line) },
    );
    return { log, clock: { ...systemClock, nowMs: () => this.nowMs }, signal: AbortSignal.timeout(100_000) };
  }

  #linesFrom(index: number): readonly LogLine[] {
    return this.lines.slice(index).map((line) => JSON.parse(line) as LogLine);
  }
}

export interface CertsFixture {
  readonly world: CertsWorld;
  /** A namespace of its own, after `certs generate` with these arguments. */
  generated(...argv: readonly string[]): Promise<Cluster>;
}

/** A world for the tests of the suite around the call. */
export function certsFixture(): CertsFixture {
  let world: CertsWorld | undefined;
  beforeAll(async () => {
    world = await CertsWorld.start();
  }, 120_000);
  afterAll(() => world?.[Symbol.asyncDispose]());
  return {
    get world() {
      return world as CertsWorld;
    },
    async generated(...argv) {
      const cluster = await this.world.namespace();
      await cluster.generate(...argv);
      return cluster;
    },
  };
}
