/**
 * The recorded scenarios of the users file, carried out by the program as processes: etcdinit, an etcd with client
 * certificates on the data directory it made, and the daemon as `admin-<cluster>`.
 */

import { execFile } from 'node:child_process';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual, promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { type EtcdProcess, etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { ETCDCTL, etcdctlMissing } from '../../support/etcd/etcdctl.ts';
import { startKubernetes } from '../../support/kubernetes/kubernetes-provider.ts';
import { runChild } from '../../support/processes/child.ts';
import type { Daemon } from '../../support/processes/daemon.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import {
  type Authority,
  CertificateDirectory,
  type CertificateFiles,
  canMakeCertificates,
} from '../../support/tls/certificates.ts';
import { programCommand } from '../program.ts';
import { startDaemon } from './daemon.ts';
import {
  expectedUsers,
  fileOf,
  type RecordedPermission,
  recordedUsers,
  type UsersDump,
  type UsersScenario,
  usersDeviations,
  usersScenarios,
} from './recording/users-scenario.ts';

/** How long etcd must hold what is expected, and may hold something else. */
const HOLD_MS = 500;
const SETTLE_WITHIN_MS = 60_000;

const binary = etcdVersions()[0];
const missing = lacking();

function lacking(): string | undefined {
  if (binary === undefined) return 'no etcd';
  if (!canMakeCertificates()) return 'no openssl 3';
  return etcdctlMissing();
}

test.each(usersDeviations)('$scenario, steps $steps: $why', ({ scenario, steps }) => {
  for (const step of steps) expect(expectedUsers(scenario, step)).not.toEqual(recordedUsers(scenario, step));
});

describe.skipIf(missing !== undefined)(
  `recorded scenarios of the users file${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    test.each(usersScenarios())('$name leaves in etcd what was recorded', { timeout: 180_000 }, async (scenario) => {
      const run = new Run(scenario);
      try {
        await run.carryOut();
      } finally {
        await run.cleanUp();
      }
    });
  },
);

class Run {
  readonly #scenario: UsersScenario;
  readonly #directory = temporaryDirectory('golden-users');
  readonly #usersFile = join(this.#directory, 'conf', 'users.yaml');
  readonly #certificates = new CertificateDirectory();
  readonly #authority: Authority = this.#certificates.authority('mesh');
  readonly #root: CertificateFiles = this.#authority.issue({ name: 'root' });
  #etcd: EtcdProcess | undefined;
  #daemon: Daemon | undefined;
  #stopKubernetes: () => Promise<void> = async () => undefined;

  constructor(scenario: UsersScenario) {
    this.#scenario = scenario;
    mkdirSync(join(this.#directory, 'conf'));
  }

  async carryOut(): Promise<void> {
    for (const { number, etcdinit, start, users, etcdctl = [] } of this.#scenario.steps) {
      if (etcdinit === true) await this.#initialize();
      if (users !== undefined) this.#writeUsers(fileOf(this.#scenario.name, users));
      if (start === true) await this.#start();
      for (const words of etcdctl) await this.#etcdctl(...words);
      await this.#expect(number);
    }
    expect(await this.#daemon?.stop('SIGTERM')).toMatchObject({ code: 0 });
  }

  async cleanUp(): Promise<void> {
    if (this.#daemon !== undefined && this.#daemon.end === undefined) await this.#daemon.stop('SIGKILL');
    await this.#etcd?.stop();
    await this.#stopKubernetes();
  }

  /** The etcd of the recording is the first one that `etcdinit` finds. */
  async #initialize(): Promise<void> {
    const [dataDir, bin] = [join(this.#directory, 'data'), join(this.#directory, 'bin')];
    mkdirSync(dataDir);
    mkdirSync(bin);
    symlinkSync(binary?.path ?? '', join(bin, 'etcd'));
    const [command = '', ...words] = programCommand('CLUSTERMESH_ETCDINIT_CMD', 'etcdinit');
    const flags = [`--cluster-name=${this.#scenario.flags.clusterName}`, `--etcd-data-dir=${dataDir}`];
    const { status, stderr } = await runChild(command, [...words, ...flags], {
      env: { PATH: `${bin}:${process.env.PATH ?? ''}` },
    });
    expect(status, stderr).toBe(0);
    const server = this.#authority.issue({ name: 'server', alternatives: ['IP:127.0.0.1'] });
    const tls = { ...server, clientCaFile: this.#authority.caFile };
    this.#etcd = await startEtcd({ version: binary?.version ?? '', dataDir, tls });
  }

  async #start(): Promise<void> {
    const { flags } = this.#scenario;
    const kubernetes = await startKubernetes('embedded');
    this.#stopKubernetes = () => kubernetes.stop();
    const { certFile, keyFile } = this.#authority.issue({ name: `admin-${flags.clusterName}` });
    const etcdConfigFile = join(this.#directory, 'etcd.yaml');
    const tls = `trusted-ca-file: ${this.#authority.caFile}\ncert-file: ${certFile}\nkey-file: ${keyFile}\n`;
    writeFileSync(etcdConfigFile, `endpoints: [${this.#etcd?.endpoint}]\n${tls}`);
    const { kubeconfigFile } = kubernetes;
    this.#daemon = await startDaemon({ flags, etcdConfigFile, kubeconfigFile, usersFile: this.#usersFile });
  }

  #writeUsers(text: string): void {
    const path = this.#scenario.replacesFile ? `${this.#usersFile}.tmp` : this.#usersFile;
    writeFileSync(path, text);
    renameSync(path, this.#usersFile);
  }

  async #expect(step: number): Promise<void> {
    const expected = expectedUsers(this.#scenario.name, step);
    const deadline = performance.now() + SETTLE_WITHIN_MS;
    let equalSince: number | undefined;
    for (;;) {
      // A user may go away between the list and the question for its roles.
      const actual = await this.#dump().catch(String);
      const now = performance.now();
      equalSince = isDeepStrictEqual(actual, expected) ? (equalSince ?? now) : undefined;
      if (equalSince !== undefined && now - equalSince >= HOLD_MS) return;
      if (now >= deadline) expect(actual, `step ${step}; ${this.#daemon?.lastLines}`).toEqual(expected);
      await pause(50);
    }
  }

  async #dump(): Promise<UsersDump> {
    const users: Record<string, readonly string[]> = {};
    for (const user of await this.#list('user', 'users'))
      users[user] = (await this.#list('user', 'roles', 'get', user)).toSorted();
    const roles: Record<string, readonly RecordedPermission[]> = {};
    for (const role of await this.#list('role', 'roles')) roles[role] = await this.#permissions(role);
    const { kvs = [] } = (await this.#etcdctl('get', '', '--prefix', '--keys-only')) as { kvs?: { key: string }[] };
    const keys = kvs.map(({ key }) => text(key)).filter((key) => key !== 'cilium/.heartbeat');
    return { authEnabled: await this.#isRefused(), users, roles, keys: keys.toSorted() };
  }

  async #list(what: string, field: string, ...words: readonly string[]): Promise<readonly string[]> {
    const answer = (await this.#etcdctl(what, ...(words.length === 0 ? ['list'] : words))) as Record<string, readonly string[]>;
    return answer[field] ?? [];
  }

  async #permissions(role: string): Promise<readonly RecordedPermission[]> {
    const answer = await this.#etcdctl('role', 'get', role);
    const { perm = [] } = answer as { perm?: { permType?: number; key?: string; range_end?: string }[] };
    return perm
      .map(({ permType = 0, key, range_end }) => ({
        type: ['READ', 'WRITE', 'READWRITE'][permType] ?? '',
        key: text(key),
        range_end: text(range_end),
      }))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** An unknown user is rejected only if authentication is enabled. */
  async #isRefused(): Promise<boolean> {
    const nobody = this.#authority.issue({ name: 'nobody' });
    return this.#call(nobody, 'get', 'x').then(
      () => false,
      () => true,
    );
  }

  #etcdctl(...words: readonly string[]): Promise<unknown> {
    return this.#call(this.#root, ...words);
  }

  async #call({ certFile, keyFile }: CertificateFiles, ...words: readonly string[]): Promise<unknown> {
    const tls = [`--cacert=${this.#authority.caFile}`, `--cert=${certFile}`, `--key=${keyFile}`];
    const flags = [`--endpoints=${this.#etcd?.endpoint}`, ...tls, '--write-out=json'];
    const env = { ...process.env, ETCDCTL_API: '3' };
    const { stdout } = await promisify(execFile)(ETCDCTL, [...words, ...flags], { env });
    return JSON.parse(stdout) as unknown;
  }
}

function text(base64 = ''): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}
