/** The server of the page: its headers, its streams and their bounds. */
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RemoteRecord, SampleRing } from '../../src/kvstoremesh/page/history.ts';
import { MAX_PAGE_EVENTS, MAX_PAGE_SAMPLES, MAX_PAGE_STREAMS } from '../../src/kvstoremesh/page/limits.ts';
import type { RemotesUpdate, Snapshot } from '../../src/kvstoremesh/page/snapshot.ts';
import { FakeMesh, phase } from '../support/kvstoremesh/fake-mesh.ts';
import { until, within } from '../support/until.ts';

let mesh: FakeMesh;
let open: IncomingMessage[];

beforeEach(async () => {
  mesh = new FakeMesh();
  open = [];
  mesh.add('east');
  await mesh.start();
});

afterEach(async () => {
  for (const each of open) each.destroy();
  await mesh[Symbol.asyncDispose]();
});

async function ask(path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request(`${mesh.url}${path}`, { headers, method, agent: false }, resolve).on('error', reject).end();
  const answer = await promise;
  open.push(answer);
  return answer;
}

/** What a stream has sent so far. */
function collect(stream: IncomingMessage): { readonly text: string } {
  const collected = { text: '' };
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    collected.text += chunk;
  });
  stream.on('error', () => undefined);
  return collected;
}

test('each file has a policy that permits nothing from elsewhere, and is neither stored nor framed', async () => {
  for (const path of ['', 'page/page.css', 'page/main.js']) {
    const { statusCode, headers } = await ask(path);
    expect({ path, statusCode }).toEqual({ path, statusCode: 200 });
    const policy = String(headers['content-security-policy']).split('; ');
    for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"]) {
      expect(policy).toContain(rule);
    }
    for (const rule of ["frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"]) expect(policy).toContain(rule);
    expect(policy.join()).not.toContain('unsafe');
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    });
    expect(headers['access-control-allow-origin']).toBeUndefined();
  }
});

test.each(['', 'page/main.js', 'v1/page', 'v1/page/stream'])(
  '/%s is refused under the name of another site, and is read only',
  async (path) => {
    expect((await ask(path, { host: 'evil.example.com' })).statusCode).toBe(403);
    expect((await ask(path, {}, 'POST')).statusCode).toBe(405);
  },
);

test('the snapshot has the mesh and each remote', async () => {
  const { mesh: own, remotes } = JSON.parse(await text(await ask('v1/page'))) as Snapshot;
  expect(own).toMatchObject({ name: 'harbor', role: 'leader' });
  expect(remotes).toMatchObject([{ name: 'east', condition: 'ready', keys: 63 }]);
});

test('a stream begins with everything, and continues with what changes alone', async () => {
  mesh.add('west');
  const seen = collect(await ask('v1/page/stream'));
  const updates = () =>
    [...seen.text.matchAll(/^event: remotes\ndata: (.*)$/gm)].map(([, data = '']) => JSON.parse(data) as RemotesUpdate);
  await until('the first state', () => updates().length === 1);
  expect(updates()[0]).toMatchObject({ names: ['east', 'west'], changed: [{ name: 'east' }, { name: 'west' }] });
  mesh.change('west', { phase: phase('connecting', 'no answer'), isReady: false });
  await until('the change', () => updates().length === 2);
  expect(updates()[1]).toMatchObject({ changed: [{ name: 'west', condition: 'unreachable' }] });
  expect(updates()[1]?.names).toBeUndefined();
  mesh.remotes.delete('east');
  await until('the removal', () => updates().length === 3);
  expect(updates()[2]).toEqual({ names: ['west'], changed: [] });
  await until('a sign of life', () => seen.text.includes('event: beat'), { withinMs: 15_000 });
});

test('one stream more than the bound is refused, and there is room again when one is closed', async () => {
  for (let index = 0; index < MAX_PAGE_STREAMS; index += 1) expect((await ask('v1/page/stream')).statusCode).toBe(200);
  const refused = await ask('v1/page/stream');
  expect(refused.statusCode).toBe(503);
  expect(await text(refused)).toContain('too many streams are open');
  expect((await ask('v1/page')).statusCode).toBe(200);
  open[0]?.destroy();
  await until('there is room', async () => (await ask('v1/page/stream')).statusCode === 200);
});

test('pages of other origins get no stream', async () => {
  expect((await ask('v1/page/stream', { 'sec-fetch-site': 'cross-site' })).statusCode).toBe(403);
  expect((await ask('v1/page/stream', { 'sec-fetch-site': 'same-origin' })).statusCode).toBe(200);
});

test('a client that reads nothing gets the latest state when it reads again, not each one in between', async () => {
  for (let number = 0; number < 500; number += 1) mesh.add(`cluster-${number}`, { phase: phase('refused', 'x'.repeat(2_000)) });
  const socket = connect(mesh.port, '127.0.0.1');
  socket.write('GET /v1/page/stream HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await until('something has arrived', () => socket.readableLength > 0);
  socket.pause();
  const other = collect(await ask('v1/page/stream'));
  const states = 8;
  for (let state = 1; state <= states; state += 1) {
    for (const remote of mesh.remotes.values()) remote.phase = phase('refused', `state-${state} ${'x'.repeat(2_000)}`);
    await until('the reader has it', () => other.text.includes(`state-${state} `));
  }
  let received = '';
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
  });
  socket.resume();
  await until('it has the latest state', () => received.includes(`state-${states} `));
  const seen = Array.from({ length: states }, (_, index) => index + 1).filter((state) => received.includes(`state-${state} `));
  expect(seen.length).toBeLessThan(states);
  socket.destroy();
});

test('open streams end with the server', async () => {
  const streams = [await ask('v1/page/stream'), await ask('v1/page/stream?cluster=east')];
  const ended = streams.map((stream) => new Promise((resolve) => stream.once('close', resolve).on('error', resolve).resume()));
  await within('the server ends', mesh[Symbol.asyncDispose](), 5_000);
  await within('the streams end', Promise.all(ended), 5_000);
});

test('an hour of samples and the last events are kept of a remote, equal events in a row as one', () => {
  const ring = new SampleRing();
  for (let value = 0; value < 10 * MAX_PAGE_SAMPLES; value += 1) ring.push(value);
  expect(ring.values()).toEqual(
    Array.from({ length: MAX_PAGE_SAMPLES }, (_, index) => Number((9 * MAX_PAGE_SAMPLES + index).toPrecision(3))),
  );
  expect(ring.values(40).length).toBeLessThanOrEqual(41);
  expect(Math.max(...ring.values(40))).toBe(Math.max(...ring.values()));

  const record = new RemoteRecord();
  for (let at = 0; at < 300; at += 1)
    record.add({ kind: 'unreachable', reason: `no answer ${Math.floor(at / 3)}${'x'.repeat(900)}` }, at);
  expect(record.events.length).toBe(MAX_PAGE_EVENTS);
  expect(record.events[0]).toMatchObject({ first: 297, last: 299, count: 3 });
  expect(record.events[0]?.reason?.length).toBeLessThan(400);
});

test('nothing is kept of a remote that is gone', () => {
  mesh.history.news('east', { kind: 'connected' });
  mesh.history.gone('east');
  expect(mesh.history.of('east').events).toEqual([]);
});
