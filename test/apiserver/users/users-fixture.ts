/** The management of users in this process, on a real etcd, with a users file as the kubelet projects it. */

import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runUsers } from '../../../src/apiserver/users/run.ts';
import { UsersMetrics } from '../../../src/apiserver/users/users-report.ts';
import type { EtcdAdminClient } from '../../../src/shared/etcd/client.ts';
import { Health } from '../../../src/shared/http/health.ts';
import { Registry } from '../../../src/shared/http/metrics.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { openClient, soon } from '../../support/etcd/etcd-client.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until, within } from '../../support/until.ts';

export class UsersFile {
  readonly directory = temporaryDirectory('users');
  readonly path = join(this.directory, 'users.yaml');
  #generation = 0;

  /** In place. */
  write(text: string): void {
    writeFileSync(this.path, text);
  }

  writeUsers(users: Readonly<Record<string, string>>): void {
    this.write(usersText(users));
  }

  replace(text: string): void {
    writeFileSync(`${this.path}.new`, text);
    renameSync(`${this.path}.new`, this.path);
  }

  /** As a projected ConfigMap: the name is a link into `..data`, which is swapped. */
  project(text: string): void {
    this.#generation += 1;
    const generation = join(this.directory, `..${this.#generation}`);
    mkdirSync(generation);
    writeFileSync(join(generation, 'users.yaml'), text);
    symlinkSync(`..${this.#generation}`, join(this.directory, '..next'));
    renameSync(join(this.directory, '..next'), join(this.directory, '..data'));
    if (this.#generation === 1) symlinkSync('..data/users.yaml', this.path);
    else rmSync(join(this.directory, `..${this.#generation - 1}`), { recursive: true });
  }

  remove(): void {
    rmSync(this.path);
  }
}

export function usersText(users: Readonly<Record<string, string>>): string {
  const entries = Object.entries(users).map(([name, role]) => `- name: ${name}\n  role: ${role}\n`);
  return `users:\n${entries.join('')}`;
}

/** The users that the etcd of `east` begins with. */
export const BUILTIN = { root: 'root', 'admin-east': 'root', 'local-east': 'local', remote: 'remote' };

/** The loop of a daemon of the cluster `east`. */
export class UsersRun implements AsyncDisposable {
  readonly metrics = new Registry('test_');
  readonly health = new Health(this.metrics);
  /** Whether each run so far left nothing undone. */
  readonly runs: boolean[] = [];
  readonly client: EtcdAdminClient;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  constructor(endpoint: string, file: UsersFile) {
    this.client = openClient(endpoint);
    const onRun = (succeeded: boolean) => this.runs.push(succeeded);
    const surroundings = {
      clock: systemClock,
      log: silentLogger,
      metrics: new UsersMetrics(this.metrics),
      health: this.health,
      onRun,
    };
    this.#ended = runUsers({ path: file.path, cluster: 'east', auth: this.client.auth, ...surroundings }, this.#stop.signal);
    this.#ended.catch(() => undefined);
  }

  /** Every user of etcd with its roles. */
  async users(): Promise<Record<string, string>> {
    const users: Record<string, string> = {};
    for (const user of await this.client.auth.users(soon()))
      users[user] = ((await this.client.auth.rolesOf(user, soon())) ?? ['gone']).join(' ');
    return users;
  }

  /** Waits until etcd has exactly `expected`, besides the users that it began with, which are as they were. */
  async has(expected: Readonly<Record<string, string>>): Promise<void> {
    const wanted = JSON.stringify(sorted({ ...expected, ...BUILTIN }));
    let seen = '';
    const probe = async () => {
      seen = JSON.stringify(sorted(await this.users()));
      return seen === wanted;
    };
    await until(`etcd has the users ${wanted}`, probe, { status: () => seen });
  }

  async failures(reason: string): Promise<number> {
    const { values } = (await this.metrics.getSingleMetric('test_users_failures_total')?.get()) ?? { values: [] };
    return values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped by the test'));
    await within('the management of users to end', this.#ended, 5_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => undefined);
    this.client.close();
  }
}

function sorted(users: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(users).sort(([a], [b]) => (a < b ? -1 : 1)));
}
