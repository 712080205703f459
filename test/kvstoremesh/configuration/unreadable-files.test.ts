/**
 * Files of remote clusters that exist and may not be read. The daemon runs without the capabilities by which root reads
 * everything; the files belong to another user.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { ConfigDirectory, harborFlags } from '../../support/kvstoremesh/config-directory.ts';
import { type Store, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { freePort } from '../../support/network/free-port.ts';
import { type Daemon, quickProgram, startDaemon } from '../../support/processes/daemon.ts';
import { until } from '../../support/until.ts';

const MIRRORED = '{"id":9,"capabilities":{"syncedCanaries":true,"cached":true}}';
const OTHER = 65_534;
const CAPABILITIES = '-dac_override,-dac_read_search';
const canDrop = process.getuid?.() === 0 && spawnSync('setpriv', ['--version']).status === 0;

interface Running {
  readonly daemon: Daemon;
  /** The status of the cluster `name`. */
  status(name: string): Promise<{ name: string; ready?: boolean; reason?: string } | undefined>;
  health(): Promise<string>;
}

async function start(local: Store, directory: ConfigDirectory): Promise<Running> {
  const port = await freePort();
  const daemon = await startDaemon(
    'kvstoremesh',
    [...harborFlags(local, directory), `--api-serve-addr=127.0.0.1:${port}`, '--per-cluster-ready-timeout=1s'],
    [
      ...['setpriv', `--bounding-set=${CAPABILITIES}`, `--inh-caps=${CAPABILITIES}`],
      ...quickProgram({ drainGraceMs: 100, orphansMs: 100 }),
    ],
  );
  onTestFinished(() => daemon.kill());
  return {
    daemon,
    status: async (name) => {
      const answer = await fetch(`http://127.0.0.1:${port}/v1/cluster`);
      return ((await answer.json()) as { name: string }[]).find((each) => each.name === name);
    },
    health: async () => (await fetch(`http://127.0.0.1:${daemon.healthPort}/healthz`)).text(),
  };
}

describe.skipIf(etcdVersions().length === 0 || !canDrop)('a file of a cluster that may not be read', () => {
  test('is no removal, also over a restart, and is named with its file in log, status and health', async () => {
    const directory = new ConfigDirectory();
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    directory.add(berlin);
    const file = directory.fileOf('berlin');
    chownSync(file, OTHER, OTHER);
    const arrives = (tag: string) =>
      until(`keys ${tag} arrive`, async () => {
        const held = await local.dump('cilium/cache/');
        return Object.entries(berlin.keys(tag, 'cache')).every(([key, value]) => held[key] === value);
      });

    const first = await start(local, directory);
    await first.daemon.ready();
    await arrives('1');
    chmodSync(file, 0o600);
    await until('the status names the file', async () => (await first.status('berlin'))?.reason?.includes('EACCES'));
    expect(await first.status('berlin')).toMatchObject({
      ready: true,
      reason: `${file} cannot be read: EACCES: permission denied; its last configuration is kept`,
    });
    expect(await first.health()).toContain('configuration files: berlin cannot be read: EACCES: permission denied');
    expect(await first.health()).not.toContain(directory.path);
    expect(first.daemon.log).toMatch(new RegExp(`"path":"${file}","error":"EACCES: permission denied"`));
    // A cluster that is added and removed shows that a removal would have been seen by now.
    directory.write('oslo', 'endpoints: ["http://127.0.0.1:1"]\n');
    await until('another one is added', () => first.status('oslo'));
    directory.remove('oslo');
    await until('it is removed', async () => (await first.status('oslo')) === undefined);
    // A lost connection is also made again.
    berlin.proxy.cut();
    await berlin.fill('2');
    await arrives('2');

    await first.daemon.kill();
    await local.put({ 'cilium/cluster-config/lima': MIRRORED, 'cilium/cache/nodes/v1/lima/n': 'left over' });
    const second = await start(local, directory);
    await second.daemon.ready();
    await until(
      'leftovers of others are removed',
      async () => !Object.keys(await local.dump()).some((key) => key.includes('lima')),
    );
    expect(await second.status('berlin')).toMatchObject({ reason: expect.stringContaining(`${file} cannot be read: EACCES`) });
    expect(await second.health()).toContain('configuration files: berlin cannot be read: EACCES: permission denied');
    expect(await local.dump('cilium/cluster-config/')).toHaveProperty('cilium/cluster-config/berlin');
    await arrives('1');
    await berlin.fill('3');
    chmodSync(file, 0o644);
    await arrives('3');
    await until('all is well', async () => (await second.health()) === 'ok');
    expect(second.daemon.log).not.toMatch(/"cluster":"berlin".*"remote cluster removed/);
  });

  test('is no removal where the whole directory may not be read', async () => {
    const directory = new ConfigDirectory();
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    directory.add(berlin);
    const mirrored = berlin.keys('1', 'cache');
    await local.put({ 'cilium/cluster-config/berlin': MIRRORED, ...mirrored });
    chownSync(directory.path, OTHER, OTHER);
    const { daemon, status, health } = await start(local, directory);
    await until('what an earlier run left is a cluster', () => status('berlin'));
    expect(await status('berlin')).toMatchObject({ reason: expect.stringContaining('the directory cannot be read: EACCES') });
    expect(await health()).toContain('configuration directory: EACCES: permission denied; all clusters are kept');
    chmodSync(directory.path, 0o755);
    await until('it is mirrored', async () => (await status('berlin'))?.ready, { withinMs: 45_000 });
    expect(await local.dump('cilium/cache/')).toEqual(mirrored);
    expect(daemon.log).not.toContain('remote cluster removed');
    await daemon.ready();
  });
});
