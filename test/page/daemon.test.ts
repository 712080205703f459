/** The page of a real kvstoremesh with real etcds, in Chromium: what happens to remotes is seen on it. */

import type { BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { MeshSummary } from '../../src/kvstoremesh/page/snapshot.ts';
import { findChromium, startChromium } from '../support/browser/chromium.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { KvstoremeshProcess } from '../support/kvstoremesh/kvstoremesh-process.ts';
import { type Remote, startFullRemote, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { until, within } from '../support/until.ts';
import { OpenPage } from './open-page.ts';

const FLAGS = ['--remote-max-keys=20'];

/** Its identity, and its address, which all have, would be findings of the import guard. */
async function startSoundRemote(name: string, id: number): Promise<Remote> {
  const remote = await startFullRemote(name, id);
  await remote.delete('cilium/state/identities/v1/id/1', 'cilium/state/ip/v1/default/10.7.0.1');
  return remote;
}

describe.skipIf(findChromium() === undefined)('in a browser (needs chromium)', () => {
  describe.skipIf(etcdVersions().length === 0)('of real clusters (no etcd was found)', () => {
    let browser: BrowserContext;
    beforeAll(async () => {
      browser = await startChromium();
    });
    afterAll(() => browser.close());

    async function open(mesh: KvstoremeshProcess, hash = ''): Promise<OpenPage> {
      await until('the API answers', async () => (await fetch(`${mesh.apiUrl}/v1/page`)).ok);
      const page = await OpenPage.open(browser, `${mesh.apiUrl}/${hash}`);
      onTestFinished(() => page[Symbol.asyncDispose]());
      await page.live();
      return page;
    }

    test('a remote is followed through refusal, loss, limits, findings and removal', { timeout: 120_000 }, async () => {
      await using local = await startLocal();
      await using berlin = await startSoundRemote('berlin', 7);
      await using madrid = await startSoundRemote('madrid', 7);
      await using rome = await startSoundRemote('rome', 9);
      await using mesh = await KvstoremeshProcess.prepare({
        endpoint: local.process.endpoint,
        flags: FLAGS,
        times: { speed: 5, drainGraceMs: 20_000, sampleMs: 2_000 },
      });
      mesh.add(berlin, rome);
      await mesh.start();
      const page = await open(mesh);
      await page.shows('berlin', 'Ready');
      await page.shows('rome', 'Ready');
      expect(await page.texts('.role')).toEqual(['leader']);

      mesh.add(madrid);
      await page.shows('madrid', 'Refused');
      expect(await page.cluster('madrid').textContent()).toContain('cluster ID 7 is in use by cluster berlin');

      await rome.put({
        'cilium/state/nodes/v1/rome/node-2': JSON.stringify({ Name: 'node-2', Cluster: 'berlin', ClusterID: 7 }),
      });
      await page.shows('rome', 'Warning');
      const keys = Array.from({ length: 30 }, (_, index) => [`cilium/state/services/v1/rome/shop/${index}`, '{}']);
      await rome.put(Object.fromEntries(keys));
      await page.shows('rome', 'Stopped');
      expect(await page.cluster('rome').textContent()).toContain('more than 20 keys');

      await berlin.proxy.stop();
      await page.shows('berlin', 'Unreachable');

      await page.cluster('berlin').click();
      await page.page.getByText('Disconnected; the last known state is kept').waitFor();
      const events = (await page.texts('.event strong')).toReversed();
      const inOrder = [
        'Added',
        'Connected',
        'Accepted; mirroring begins',
        'Listed completely',
        'Disconnected; the last known state is kept',
      ];
      expect(events.filter((event) => inOrder.includes(event))).toEqual(inOrder);
      await page.page.getByRole('img', { name: /^Changes per second: now / }).waitFor();
      expect(await page.texts('.advice code')).toEqual(['kvstoremesh-dbg doctor berlin']);
      // What is wrong with a remote is shown there, and not as a problem of this cluster.
      const { mesh: own } = (await (await fetch(new URL('/v1/page', page.page.url()))).json()) as { mesh: MeshSummary };
      expect(own.problems).toEqual([]);

      await page.page.keyboard.press('Escape');
      mesh.remove('berlin');
      await page.shows('berlin', 'Draining');
      await page.cluster('berlin').waitFor({ state: 'detached', timeout: 45_000 });
      expect(page.faults).toEqual([]);
    });

    test('the page outlives a restart of the daemon, which ends in time although pages are open', async () => {
      await using local = await startLocal();
      await using berlin = await startSoundRemote('berlin', 7);
      await using mesh = await KvstoremeshProcess.prepare({ endpoint: local.process.endpoint });
      mesh.add(berlin);
      await mesh.start();
      const page = await open(mesh);
      await page.shows('berlin', 'Ready');
      mesh.process.send('SIGTERM');
      expect(await within('it stops', mesh.process.ended(), 5_000)).toBe(0);
      await page.page.getByText('Connection to kvstoremesh lost').waitFor();
      await page.shows('berlin', 'Ready');
      await mesh.start();
      await page.live();
      await page.shows('berlin', 'Ready');
      expect(await page.texts('#banners p')).toEqual([]);
      expect(page.faults).toEqual([]);
    });

    test('a standby says so, and leads once the other replica has ended', async () => {
      await using local = await startLocal();
      await using berlin = await startSoundRemote('berlin', 7);
      await using first = await KvstoremeshProcess.prepare({ endpoint: local.process.endpoint });
      await using second = await KvstoremeshProcess.prepare({ endpoint: local.process.endpoint });
      for (const mesh of [first, second]) mesh.add(berlin);
      await first.start();
      await first.until('it leads', 'berlin', ({ ready }) => ready);
      await second.start();
      const page = await open(second);
      await page.page.getByText('stands by: another replica leads').waitFor();
      const [lock] = Object.keys(await local.dump('cilium/kvstoremesh-lock/'));
      expect(await page.texts('#banners p')).toEqual([expect.stringContaining('cilium/kvstoremesh-lock/')]);
      expect(lock).toBeDefined();
      first.process.send('SIGTERM');
      await page.shows('berlin', 'Ready');
      expect(await page.texts('#banners p')).toEqual([]);
      expect(await page.texts('.role')).toEqual(['leader']);
    });
  });
});
