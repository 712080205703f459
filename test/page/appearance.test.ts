/** The page in Chromium over a mesh that is made up: every state, two clusters and 511. */
import type { BrowserContext } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { MAX_PAGE_STREAMS } from '../../src/kvstoremesh/page/limits.ts';
import { findChromium, startChromium } from '../support/browser/chromium.ts';
import { FakeMesh, phase } from '../support/kvstoremesh/fake-mesh.ts';
import { until } from '../support/until.ts';
import { OpenPage, PHONE, WIDE } from './open-page.ts';

const REASON = 'ETCD_UNAVAILABLE: no answer for 15 s';
const REMEDY = 'check firewalls, security groups and NetworkPolicies';
const MARKUP = '<img src=x onerror="document.title=1"><b>bold</b>';

/** One cluster in each state. */
function addAllStates(mesh: FakeMesh): void {
  mesh.add('east');
  mesh.add('first', { phase: phase('connecting', undefined), isReady: false });
  mesh.add('gone', { phase: phase('connecting', REASON), isReady: false, stalenessMs: 125_000 });
  mesh.add('half', { phase: phase('waiting', 'the remote has no cluster config'), isReady: false });
  mesh.add('huge', { phase: phase('stopped', 'the remote has more than 10 keys'), isReady: false });
  const quarantine = { mode: 'freeze', reason: 'wrong routes', since: '2026-11-30T12:00:00Z' } as const;
  mesh.add('kept', { phase: phase('connecting', undefined), isReady: false, quarantine });
  mesh.add('twin', { phase: phase('refused', 'cluster ID 7 is in use by cluster east'), isReady: false });
  mesh.add('wild', { findings: { 'duplicate-ip': 3 } });
  mesh.draining.add('old');
  mesh.history.news('old', { kind: 'removed' });
}

function addMany(mesh: FakeMesh): void {
  for (let number = 1; number <= 511; number += 1) mesh.add(`cluster-${number}`);
  mesh.add('cluster-77', { phase: phase('connecting', REASON), isReady: false });
}

describe.skipIf(findChromium() === undefined)('in a browser (needs chromium)', () => {
  let browser: BrowserContext;
  let mesh: FakeMesh;
  let opened: OpenPage[];

  beforeAll(async () => {
    browser = await startChromium();
  });
  afterAll(() => browser.close());
  beforeEach(() => {
    mesh = new FakeMesh();
    opened = [];
  });
  afterEach(async () => {
    for (const each of opened) await each[Symbol.asyncDispose]();
    await mesh[Symbol.asyncDispose]();
    // Whatever a test is about: no error, no violation of the policy, no request to elsewhere.
    expect(opened.flatMap(({ faults }) => faults)).toEqual([]);
  });

  async function open(hash = ''): Promise<OpenPage> {
    if (mesh.port === 0) await mesh.start();
    const page = await OpenPage.open(browser, mesh.url + hash);
    opened.push(page);
    await page.live();
    return page;
  }

  test('each state has its word, problems come first, and the headline counts', async () => {
    addAllStates(mesh);
    const page = await open();
    expect(await page.texts('#headline')).toEqual(['2 of 8 clusters ready']);
    const cards = (await page.texts('#cards .card-head')).map((text) => text.split('\n'));
    expect(cards).toEqual([
      ['twin', 'Refused'],
      ['huge', 'Stopped'],
      ['gone', 'Unreachable'],
      ['wild', 'Warning'],
      ['kept', 'In quarantine'],
      ['old', 'Draining'],
      ['half', 'Loading'],
      ['first', 'Connecting'],
      ['east', 'Ready'],
    ]);
    expect(await page.cluster('wild').textContent()).toContain('check that the pod CIDRs of the clusters differ');
    expect(await page.cluster('gone').textContent()).toContain('Behind 2 min');
    expect(await page.cluster('kept').textContent()).toContain('wrong routes');
    expect(await page.page.title()).toBe('4 problems – mesh of harbor');
  });

  test('a change of state is shown without a reload, and told to a screen reader', async () => {
    addAllStates(mesh);
    const page = await open();
    mesh.change('east', { phase: phase('connecting', REASON), isReady: false });
    await page.shows('east', 'Unreachable');
    await page.page.locator('#news', { hasText: 'east: Unreachable' }).waitFor({ state: 'attached' });
    mesh.remotes.delete('east');
    await until('east is no longer shown', async () => (await page.cluster('east').count()) === 0);
  });

  test('the page of a cluster has the reason, the remedy, charts with words, and events in order', async () => {
    addAllStates(mesh);
    mesh.history.news('gone', { kind: 'connected' });
    mesh.history.news('gone', { kind: 'disconnected', reason: REASON });
    for (let index = 0; index < 3; index += 1) mesh.history.news('gone', { kind: 'unreachable', reason: REASON });
    for (let index = 1; index <= 10; index += 1) {
      mesh.change('gone', { changes: index * 60 });
      mesh.sample(index * 30_000);
    }
    const page = await open();
    await page.cluster('gone').click();
    await page.page.getByRole('heading', { name: 'gone', level: 1 }).waitFor();
    expect(await page.texts('.advice')).toEqual([
      expect.stringMatching(new RegExp(`no answer for 15 s; ${REMEDY}.*kvstoremesh-dbg doctor gone`, 's')),
    ]);
    await page.page.getByRole('img', { name: 'Changes per second: now 2/s, from 2/s to 2/s in the last 5 min' }).waitFor();
    expect(await page.texts('.event strong')).toEqual([
      'Cannot connect',
      'Disconnected; the last known state is kept',
      'Connected',
      'Added',
    ]);
    expect(await page.texts('.event:first-child')).toEqual([expect.stringContaining('3 times since')]);
    await page.page.goBack();
    await page.page.getByRole('heading', { name: '2 of 8 clusters ready' }).waitFor();
  });

  test('names and reasons with markup are shown as text', async () => {
    mesh.add(MARKUP, { phase: phase('connecting', `refused by ${MARKUP}`), isReady: false });
    mesh.history.news(MARKUP, { kind: 'unreachable', reason: MARKUP });
    mesh.mesh = { ...mesh.mesh, problems: [`local etcd: ${MARKUP}`] };
    const page = await open();
    expect(await page.texts('#cards .name')).toEqual([MARKUP]);
    expect(await page.texts('#banners p')).toEqual([`In this cluster: local etcd: ${MARKUP}`]);
    await page.cluster(MARKUP).click();
    await page.page.locator('.event p').waitFor();
    expect(await page.texts('#detail-name')).toEqual([MARKUP]);
    expect(await page.texts('.event p')).toEqual([MARKUP]);
    expect(await page.page.locator('img, b').count()).toBe(0);
  });

  test('search and filters find clusters among 511', async () => {
    addMany(mesh);
    const page = await open();
    expect(await page.page.locator('#tiles a').count()).toBe(510);
    expect(await page.texts('#cards .name')).toEqual(['cluster-77']);
    await page.page.keyboard.press('/');
    await page.page.keyboard.type('cluster-50');
    expect(await page.texts('#found')).toEqual(['11 of 511 clusters shown']);
    await page.page.keyboard.press('Escape');
    await page.page.getByRole('button', { name: 'Problems 1' }).click();
    expect(await page.texts('#cards .name')).toEqual(['cluster-77']);
    expect(await page.page.locator('#tiles a').count()).toBe(0);
    expect(await page.page.getByRole('button', { name: 'Problems 1' }).getAttribute('aria-pressed')).toBe('true');
  });

  test('everything can be done with the keyboard', async () => {
    addMany(mesh);
    const page = await open();
    const focused = () =>
      page.page.evaluate('document.activeElement.textContent || document.activeElement.id') as Promise<string>;
    const { keyboard } = page.page;
    await keyboard.press('Tab');
    expect(await focused()).toBe('Skip to the clusters');
    await keyboard.press('Enter');
    expect(await page.page.evaluate('document.activeElement.id')).toBe('main');
    // The filters, the search, the card, and then the tiles as one stop.
    for (let index = 0; index < 6; index += 1) await keyboard.press('Tab');
    expect(await focused()).toContain('cluster-77');
    await keyboard.press('Tab');
    expect(await focused()).toContain('cluster-1');
    await keyboard.press('ArrowRight');
    expect(await focused()).toContain('cluster-2');
    await keyboard.press('End');
    expect(await focused()).toContain('cluster-511');
    await keyboard.press('Enter');
    await page.page.getByRole('heading', { name: 'cluster-511', level: 1 }).waitFor();
    expect(await page.page.evaluate('document.activeElement.id')).toBe('detail-name');
    await keyboard.press('Escape');
    await until('the focus is where it was', async () => (await focused()).includes('cluster-511'));
    expect(await page.page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid');
  });

  test('a standby says that it stands by, and by which key the leader is found', async () => {
    mesh.mesh = { ...mesh.mesh, role: 'standby' };
    const page = await open();
    expect(await page.texts('#headline')).toEqual(['Standing by']);
    expect(await page.texts('#banners p')).toEqual([expect.stringMatching(/stands by.*cilium\/kvstoremesh-lock\/5f2a61c0/)]);
  });

  test('without the server the page says since when, and of when its data are; then it connects again by itself', async () => {
    addAllStates(mesh);
    const page = await open();
    const { port } = mesh;
    await mesh[Symbol.asyncDispose]();
    await page.page
      .getByText(/Connection to kvstoremesh lost since [\d:]+\. What is shown is of [\d:]+\. Trying again\./)
      .waitFor();
    expect(await page.texts('#headline')).toEqual(['2 of 8 clusters ready']);
    mesh = new FakeMesh();
    mesh.add('north');
    await mesh.start(port);
    await page.shows('north', 'Ready');
    expect(await page.texts('#banners p')).toEqual([]);
    expect(await page.texts('#headline')).toEqual(['1 of 1 cluster ready']);
  });

  test.each(['light', 'dark'] as const)(
    'axe finds nothing, and nothing is wider than the window: %s',
    { timeout: 60_000 },
    async (colorScheme) => {
      addAllStates(mesh);
      mesh.history.news('gone', { kind: 'unreachable', reason: REASON });
      mesh.change('gone', { serverExpires: Date.now() + 86_400_000 });
      mesh.sample(30_000);
      mesh.mesh = { ...mesh.mesh, problems: ['local etcd: not connected yet'] };
      for (const hash of ['', '#/cluster/gone', '#/cluster/wild']) {
        const page = await open(hash);
        await page.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        if (hash !== '') await page.page.locator('.events').waitFor();
        for (const size of [WIDE, PHONE]) {
          await page.page.setViewportSize(size);
          expect(await page.axe()).toEqual([]);
          expect(await page.overflow()).toBe(0);
        }
      }
    },
  );

  test('the same of 511 clusters on a phone', async () => {
    addMany(mesh);
    const page = await open();
    await page.page.setViewportSize(PHONE);
    // The contrast of colours, which takes axe long, is that of few clusters.
    expect(await page.axe({ rules: { 'color-contrast': { enabled: false } } })).toEqual([]);
    expect(await page.overflow()).toBe(0);
  });

  test('a page that is one too many says so and shows the clusters all the same', async () => {
    mesh.add('east');
    await mesh.start();
    const others = Array.from({ length: MAX_PAGE_STREAMS }, () => new AbortController());
    for (const { signal } of others) await fetch(`${mesh.url}v1/page/stream`, { signal });
    const page = await OpenPage.open(browser, mesh.url);
    opened.push(page);
    await page.page.getByText('This page is not live: too many pages of this kvstoremesh are open.').waitFor();
    await page.shows('east', 'Ready');
    for (const other of others) other.abort();
    await page.live();
    expect(await page.texts('#banners p')).toEqual([]);
  });

  test('all files together are below 150 kB', async () => {
    mesh.add('east');
    const page = await open();
    await until('the files are read', () => page.files.has('/') && page.files.size > 2);
    const total = [...page.files.values()].reduce((sum, size) => sum + size, 0);
    expect(total).toBeLessThan(150_000);
  });
});
