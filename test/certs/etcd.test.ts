/** The Secrets on a real etcd: both sides prove who they are, users are who their certificates say, and no event is lost while all of them are rotated. */
import { execFile } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { EtcdClient } from '../../src/shared/etcd/types.ts';
import { hurriedClock } from '../support/clocks.ts';
import { containersChosen } from '../support/containers/container-engine.ts';
import { connect, listAll } from '../support/etcd/etcd-client.ts';
import { put, record } from '../support/etcd/etcd-fixture.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../support/etcd/etcd-process.ts';
import { ETCDCTL, etcdctlMissing } from '../support/etcd/etcdctl.ts';
import { providerMissing } from '../support/kubernetes/kubernetes-provider.ts';
import { runChild } from '../support/processes/child.ts';
import { until } from '../support/until.ts';
import { ADMIN, CA, type Cluster, certsFixture, LEAVES, LOCAL, REMOTE, SERVER } from './certs-fixture.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const run = promisify(execFile);
const missing = providerMissing('real') ?? etcdctlMissing();

interface Files {
  readonly directory: string;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

describe.skipIf(missing !== undefined)(
  `the Secrets on a real etcd${missing === undefined ? '' : ` (${missing})`}`,
  { timeout: 60_000 },
  () => {
    const certs = certsFixture();

    async function etcdOf(cluster: Cluster, version: string): Promise<{ etcd: EtcdProcess; server: Files }> {
      const server = await cluster.mount(SERVER);
      const { certFile, keyFile, caFile: clientCaFile } = server;
      const etcd = await startEtcd({ version, tls: { certFile, keyFile, clientCaFile } });
      return { etcd, server };
    }

    test.each(etcdVersions().slice(-1))('admin, remote and local are the users of their names', async ({ version }) => {
      const cluster = await certs.generated();
      const { etcd } = await etcdOf(cluster, version);
      await using _ = etcd;
      const files = Object.fromEntries(await Promise.all(LEAVES.map(async (name) => [name, await cluster.mount(name)] as const)));
      const etcdctl = async (name: string, ...args: string[]) => {
        const { caFile = '', certFile = '', keyFile = '' } = files[name] ?? {};
        const own = [`--endpoints=${etcd.endpoint}`, `--cacert=${caFile}`, `--cert=${certFile}`, `--key=${keyFile}`];
        const env = { ...process.env, ETCDCTL_API: '3' };
        return (await run(ETCDCTL, [...own, '--command-timeout=20s', ...args], { env })).stdout;
      };
      for (const user of ['root', 'admin-east', 'remote', 'local-east'])
        await etcdctl(ADMIN, 'user', 'add', user, '--new-user-password=unused');
      for (const role of ['root', 'remote', 'local']) await etcdctl(ADMIN, 'role', 'add', role);
      await etcdctl(ADMIN, 'role', 'grant-permission', 'remote', '--prefix=true', 'read', 'cilium/state/');
      await etcdctl(ADMIN, 'role', 'grant-permission', 'local', '--prefix=true', 'read', 'cilium/cache/');
      for (const [user, role] of Object.entries({ root: 'root', 'admin-east': 'root', remote: 'remote', 'local-east': 'local' }))
        await etcdctl(ADMIN, 'user', 'grant-role', user, role);
      await etcdctl(ADMIN, 'auth', 'enable');
      await etcdctl(ADMIN, 'put', 'cilium/state/a', 'of east');
      await etcdctl(ADMIN, 'put', 'cilium/cache/a', 'of west');
      expect(await etcdctl(REMOTE, 'get', '--print-value-only', 'cilium/state/a')).toBe('of east\n');
      expect(await etcdctl(LOCAL, 'get', '--print-value-only', 'cilium/cache/a')).toBe('of west\n');
      await expect(etcdctl(REMOTE, 'get', 'cilium/cache/a')).rejects.toThrow(/permission denied/);
      await expect(etcdctl(LOCAL, 'put', 'cilium/cache/a', 'x')).rejects.toThrow(/permission denied/);
      // A certificate for servers is none for clients.
      await expect(etcdctl(SERVER, '--dial-timeout=2s', '--command-timeout=2s', 'get', 'cilium/state/a')).rejects.toThrow();
      expect(etcd.output).toMatch(/incompatible key usage/);
    });

    // An etcd in a container has copies of its files, which do not change any more.
    const replaceable = containersChosen() ? [] : etcdVersions();

    test.each(replaceable.slice(-1))(
      'the commands of the document, word by word, create the Secrets and rotate the CA',
      async ({ version }) => {
        const cluster = await certs.world.namespace();
        const text = readFileSync(join(import.meta.dirname, '../../docs/commands/certificates.md'), 'utf8');
        const commands = [...text.matchAll(/^ {4}clustermesh-apiserver (certs .*)$/gm)].map(([, command = '']) => command);
        const names = commands.map((command) => command.split(' --')[0]);
        const steps = ['prepare', 'switch', 'finish'].map((step) => `certs rotate-ca ${step}`);
        expect(names).toEqual(['certs generate', 'certs check', ...steps, 'certs check']);
        let etcd: EtcdProcess | undefined;
        try {
          for (const command of commands) {
            const own = command
              .replaceAll('=kube-system', `=${cluster.name}`)
              .replaceAll('https://clustermesh-apiserver.kube-system.svc:2379', etcd?.endpoint ?? '');
            const env = { ...process.env, CILIUM_K8S_KUBECONFIG_PATH: cluster.kubeconfig };
            const outcome = await runChild(process.execPath, [MAIN, ...own.split(' ')], { env });
            expect(outcome, command).toMatchObject({ status: 0 });
            etcd ??= (await etcdOf(cluster, version)).etcd;
            await cluster.mount(SERVER, join(certs.world.directory, `${cluster.name}-1`));
            if (!command.includes('switch')) await etcd.restart();
          }
          expect(Object.keys((await cluster.secret(CA)).data).sort()).toEqual(['ca.crt', 'ca.key']);
        } finally {
          await etcd?.stop();
        }
      },
    );

    test.each(replaceable)('the CA is rotated under load without a lost event, etcd $version', async ({ version }) => {
      const cluster = await certs.generated();
      const { etcd, server } = await etcdOf(cluster, version);
      await using _ = etcd;
      const [admin, remote] = [await cluster.mount(ADMIN), await cluster.mount(REMOTE)];
      const mounts: readonly (readonly [string, string])[] = [
        [SERVER, server.directory],
        [ADMIN, admin.directory],
        [REMOTE, remote.directory],
      ];
      /** Files as they are now, which stay so. */
      const snapshot = (): Files => {
        const directory = `${remote.directory}-${Math.random()}`;
        cpSync(remote.directory, directory, { recursive: true });
        const file = (name: string) => join(directory, name);
        return { directory, caFile: file('ca.crt'), certFile: file('tls.crt'), keyFile: file('tls.key') };
      };
      const clientWith = (files: Omit<Files, 'directory'>): EtcdClient =>
        connect([], { config: { endpoints: [etcd.endpoint], ...files }, clock: hurriedClock(20) });
      const connects = (files: Omit<Files, 'directory'>) =>
        until('it connects', () => put(clientWith(files), 'probe').then(() => true));
      const refused = async (files: Omit<Files, 'directory'>) => expect(put(clientWith(files), 'probe')).rejects.toThrow();
      const follow = async () => {
        for (const [name, place] of mounts) await cluster.mount(name, place);
      };

      const watch = record(clientWith(remote), 'load/', 1);
      const load = new Load(clientWith(admin));
      const busy = () => load.more(50);
      const old = snapshot();
      await busy();

      await cluster.rotate('prepare');
      await follow();
      await busy();
      // etcd has read its CAs at its start: what the Secret trusts is not what it trusts.
      const ask = `--etcd-endpoint=${etcd.endpoint}`;
      await expect(cluster.rotate('switch', ask)).rejects.toThrow(
        /etcd does not trust CN=Cilium CA .*restart etcd.*nothing was changed/,
      );
      await etcd.restart();
      const prepared = snapshot();
      await connects(old);
      await connects(prepared);
      await busy();

      await cluster.rotate('switch', ask);
      await follow();
      const switched = snapshot();
      const newCa = join(switched.directory, 'only-new.crt');
      writeFileSync(newCa, await cluster.value(CA, 'ca.crt'));
      // It reads its own certificate for each handshake.
      await connects({ ...switched, caFile: newCa });
      await connects(prepared);
      await connects(switched);
      await refused(old);
      await busy();

      await cluster.rotate('finish', ask);
      await follow();
      await connects(prepared);
      await etcd.restart();
      await refused(prepared);
      await connects(snapshot());
      await connects(switched);
      await busy();
      expect(readFileSync(server.caFile, 'utf8')).toBe(readFileSync(newCa, 'utf8'));

      const written = await load.end();
      await until('every key is seen', () => new Set(watch.events.map(({ key }) => key.toString())).size >= written.length);
      const revisions = watch.events.map(({ modRevision }) => modRevision);
      expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => Number(a) - Number(b)));
      const seen = new Set(watch.events.map(({ key }) => key.toString()));
      expect(written.filter((key) => !seen.has(key))).toEqual([]);
      expect((await listAll(clientWith(snapshot()), 'load/')).map(({ key }) => key.toString())).toEqual(written);
    });
  },
);

/** Writes one key after the other, each until it is written. */
class Load {
  readonly #client: EtcdClient;
  readonly #written: string[] = [];
  readonly #running: Promise<void>;
  #isEnding = false;

  constructor(client: EtcdClient) {
    this.#client = client;
    this.#running = this.#run();
  }

  /** Resolves when so many more keys are written. */
  async more(count: number): Promise<void> {
    const goal = this.#written.length + count;
    await until(`${count} more keys are written`, () => this.#written.length >= goal);
  }

  /** The keys that were written, in their order. */
  async end(): Promise<readonly string[]> {
    this.#isEnding = true;
    await this.#running;
    return this.#written;
  }

  async #run(): Promise<void> {
    while (!this.#isEnding) {
      const key = `load/${String(this.#written.length).padStart(6, '0')}`;
      await until('the key is written', () => put(this.#client, key, 'v').then(() => true));
      this.#written.push(key);
    }
  }
}
