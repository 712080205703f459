/**
 * Takes the pictures of docs/reference/page.md in Chromium: node scripts/page-images.ts. Run it by hand after the page has changed.
 *
 * They show a mesh that is made up, by the same files that kvstoremesh serves.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startChromium } from '../test/support/browser/chromium.ts';
import { FakeMesh, phase } from '../test/support/kvstoremesh/fake-mesh.ts';
import { ROOT } from './steps.ts';

const IMAGES = join(ROOT, 'docs/images');
const LOST = 'no answer for 15 s: connect ECONNREFUSED 10.12.0.7:2379';
const IN_USE = 'cluster ID 17 is in use by cluster lab-eu-16; change the --cluster-id of one of the two clusters';
const TOO_MANY =
  'the remote has more than 1000000 keys; its mirrored keys stay as they are. Check what fills its etcd, or raise --remote-max-keys';

/** A day with more changes at noon, and a loss of the connection at its end. */
function addPair(mesh: FakeMesh): void {
  mesh.add('east', { nodes: 12 });
  mesh.add('west', { nodes: 40 });
  let [slow, fast] = [0, 0];
  for (let sample = 1; sample <= 120; sample += 1) {
    slow += 30 * (3 + 2 * Math.sin(sample / 11) + Math.sin(sample * 2.7));
    fast += 30 * (40 + 25 * Math.sin(sample / 19) + 3 * Math.sin(sample * 1.9));
    const lostMs = Math.max(0, sample - 115) * 30_000;
    mesh.change('east', { changes: slow, stalenessMs: 2_000 + 1_500 * Math.sin(sample * 3.1) });
    mesh.change('west', { changes: lostMs > 0 ? 0 : fast, stalenessMs: 2_500 + 1_500 * Math.sin(sample * 2.3) + lostMs });
    mesh.sample(sample * 30_000);
  }
  for (const kind of ['connected', 'mirroring', 'listed'] as const)
    for (const name of ['east', 'west']) mesh.history.news(name, { kind });
  mesh.history.news('west', { kind: 'disconnected', reason: LOST });
  for (let attempt = 0; attempt < 28; attempt += 1) mesh.history.news('west', { kind: 'unreachable', reason: LOST });
  const serverExpires = Date.now() + 212 * 86_400_000;
  mesh.change('west', { phase: phase('connecting', LOST), isReady: false, stalenessMs: 152_000, serverExpires });
}

function addMany(mesh: FakeMesh): void {
  const [stages, regions] = [
    ['prod', 'stage', 'edge', 'lab'],
    ['eu', 'us', 'ap'],
  ];
  for (let number = 1; number <= 511; number += 1)
    mesh.add(`${stages?.[number % 4]}-${regions?.[number % 3]}-${number}`, { nodes: 20 });
  const names = [...mesh.remotes.keys()];
  mesh.change(names[16] ?? '', { phase: phase('refused', IN_USE), isReady: false });
  mesh.change(names[199] ?? '', { phase: phase('stopped', TOO_MANY), isReady: false });
  for (const index of [90, 240]) mesh.change(names[index] ?? '', { phase: phase('connecting', LOST), isReady: false });
  mesh.change(names[400] ?? '', { findings: { 'duplicate-ip': 3 } });
}

interface Picture {
  readonly name: string;
  readonly mesh: FakeMesh;
  readonly hash: string;
  readonly width: number;
  readonly height: number;
  readonly colorScheme: 'light' | 'dark';
}

await using pair = new FakeMesh();
await using many = new FakeMesh();
addPair(pair);
addMany(many);
for (const mesh of [pair, many]) await mesh.start();
const pictures: readonly Picture[] = [
  { name: 'page', mesh: pair, hash: '', width: 1120, height: 500, colorScheme: 'light' },
  { name: 'page-cluster', mesh: pair, hash: '#/cluster/west', width: 860, height: 1160, colorScheme: 'light' },
  { name: 'page-many', mesh: many, hash: '', width: 1120, height: 680, colorScheme: 'dark' },
  { name: 'page-phone', mesh: pair, hash: '', width: 375, height: 760, colorScheme: 'dark' },
];
mkdirSync(IMAGES, { recursive: true });
await using browser = await startChromium();
const page = await browser.newPage();
for (const { name, mesh, hash, width, height, colorScheme } of pictures) {
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
  await page.goto('about:blank');
  await page.goto(mesh.url + hash);
  await page
    .locator(hash === '' ? '#cards a' : '.events')
    .first()
    .waitFor();
  await page.screenshot({ path: join(IMAGES, `${name}.png`) });
}
