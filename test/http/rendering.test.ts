import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { Counter, Gauge, Histogram, Registry as PrometheusRegistry, Summary } from 'prom-client';
import { afterEach, expect, test } from 'vitest';
import { joinInSlices, jsonPieces } from '../../src/shared/http/in-slices.ts';
import { Registry } from '../../src/shared/http/metrics.ts';
import { type HttpServer, serveJson, serveMetrics } from '../../src/shared/http/server.ts';
import { MAX_HTTP_CONNECTIONS } from '../../src/shared/limits.ts';
import { until } from '../support/until.ts';

const LISTEN = { address: { host: '127.0.0.1', port: 0 }, flag: 'x', signal: new AbortController().signal };

let server: HttpServer | undefined;
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server?.close();
});

function manyClusters(registry: Registry, clusters: number): void {
  const gauge = registry.gauge('g', 'A gauge', ['source_cluster', 'scope']);
  const histogram = registry.histogram('h_seconds', 'A histogram', ['source_cluster']);
  for (let cluster = 0; cluster < clusters; cluster += 1) {
    for (const scope of ['nodes/v1', 'services/v1']) gauge.set({ source_cluster: `cluster-${cluster}`, scope }, cluster / 3);
    histogram.observe({ source_cluster: `cluster-${cluster}` }, cluster);
  }
}

/** How often other work had its turn until `work` was done. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  let turns = 0;
  for (; !isDone; turns += 1) await turn();
  await done;
  return turns;
}

test('a scrape is what the library makes of the same series, byte by byte', async () => {
  const registry = new Registry('t_');
  manyClusters(registry, 700);
  const registers = [registry];
  new Gauge({ name: 'odd', help: 'a\\b\nc', labelNames: ['x'], registers }).set({ x: 'a"b\\c\nd' }, Number.NaN);
  new Gauge({ name: 'infinite', help: 'i', registers }).set(Number.NEGATIVE_INFINITY);
  new Gauge({ name: 'none', help: 'without a value', labelNames: ['x'], registers });
  new Counter({ name: 'c_total', help: 'c', registers }).inc(1e21);
  new Summary({ name: 's', help: 's', labelNames: ['x'], registers }).observe({ x: '1' }, 3);
  new Histogram({ name: 'e', help: 'e', registers });
  expect((await registry.render()).toString()).toBe(await PrometheusRegistry.prototype.metrics.call(registry));
  expect(await registry.metrics()).toBe(await PrometheusRegistry.prototype.metrics.call(registry));
  expect(await new Registry('t_').metrics()).toBe(await PrometheusRegistry.prototype.metrics.call(new Registry('t_')));
});

const ODD_VALUES = [0, -0, 1e21, 1e-7, 0.1 + 0.2, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
const ODD_LABELS = ['a"b\\c\nd', '', '\\n', 'é✓😀', '{}', 'a,b="c"', '\r\t', '"', '__proto__', '1'];

test('series that are read at the scrape are those of a gauge that is set, byte by byte', async () => {
  const [read, set] = [new Registry('t_'), new Registry('t_')];
  const value = fc.oneof(fc.constantFrom(...ODD_VALUES), fc.double());
  const label = fc.oneof(fc.constantFrom(...ODD_LABELS), fc.string({ unit: 'binary' }));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(label, label, fc.array(value, { maxLength: 3 }))), async (rows) => {
      for (const registry of [read, set]) registry.clear();
      const source = { rows: () => rows, labels: ([x, y]: (typeof rows)[number]) => [x, y], labelNames: ['x', 'y'] };
      const kinds = ['0', '1', '2"'] as const;
      read.gaugeFrom('wide', 'a\\b\nc"', {
        ...source,
        column: { label: 'kind', values: kinds },
        value: ([, , values], kind) => values[kinds.indexOf(kind)],
      });
      read.gaugeFrom('narrow', 'h', { ...source, value: ([, , { length }]) => length });
      read.counterFrom('c_total', 'h', { ...source, labels: ([x]) => [x, ''], value: ([, , { length }]) => length });
      const wide = set.gauge('wide', 'a\\b\nc"', ['x', 'y', 'kind']);
      const narrow = set.gauge('narrow', 'h', ['x', 'y']);
      const counter = set.counter('c_total', 'h', ['x', 'y']);
      // Of rows with the same labels the last one counts, and the first one has the place.
      const last = new Map(rows.map((row) => [JSON.stringify([row[0], row[1]]), row]));
      for (const [x, y, values] of last.values()) {
        for (const [at, each] of values.entries()) wide.set({ x, y, kind: kinds[at] ?? '' }, each);
        narrow.set({ x, y }, values.length);
      }
      for (const [x, , { length }] of new Map(rows.map((row) => [row[0], row])).values()) counter.inc({ x, y: '' }, length);
      const expected = await PrometheusRegistry.prototype.metrics.call(set);
      expect(await read.metrics()).toBe(expected);
      expect(await PrometheusRegistry.prototype.metrics.call(read)).toBe(expected);
    }),
  );
});

test('a histogram has the lines of that of the library, byte by byte', async () => {
  const label = fc.oneof(fc.constantFrom(...ODD_LABELS), fc.string({ unit: 'binary' }));
  const value = fc.oneof(
    fc.constantFrom(-1, 0, 0.1, 0.10000000000000002, 1, 1e21, 5e-324),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  );
  const observation = fc.record({ x: label, y: label, value, isRemoved: fc.boolean() });
  // No bound of -1: the library has that number for values above all bounds, and counts them there.
  const bounds = fc.option(fc.constantFrom([0], [-2, 1e-7, 0.1, 1, 1e21], []), { nil: undefined });
  await fc.assert(
    fc.asyncProperty(fc.array(observation), bounds, async (observations, buckets) => {
      const registry = new Registry('t_');
      const library = new PrometheusRegistry();
      const more = { registers: [library], ...(buckets === undefined ? {} : { buckets: [...buckets] }) };
      const own = registry.histogram('h', 'h', ['x', 'y'], buckets);
      const theirs = new Histogram({ name: 't_h', help: 'h', labelNames: ['x', 'y'], ...more });
      const ownPlain = registry.histogram('plain', 'h', [], buckets);
      const theirsPlain = new Histogram({ name: 't_plain', help: 'h', ...more });
      for (const each of observations) {
        const labels = { x: each.x, y: each.y };
        for (const histogram of [own, theirs]) histogram.observe(labels, each.value);
        for (const histogram of [ownPlain, theirsPlain]) histogram.observe({}, each.value);
        if (each.isRemoved) for (const histogram of [own, theirs]) histogram.remove(labels);
      }
      const expected = await library.metrics();
      expect(await registry.metrics()).toBe(expected);
      expect(await PrometheusRegistry.prototype.metrics.call(registry)).toBe(expected);
    }),
  );
});

test('a value that is not finite is not observed', async () => {
  const registry = new Registry('t_');
  const histogram = registry.histogram('h', 'h');
  const before = await registry.metrics();
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    expect(() => histogram.observe({}, value)).toThrow(TypeError);
  expect(await registry.metrics()).toBe(before);
});

test('a scrape may be much longer than the one before, in characters of any size', async () => {
  const registry = new Registry('t_');
  await registry.render();
  let length = 0;
  const rows = () => Array.from({ length }, (_, index) => `✓😀é${'x'.repeat(index % 100)}${index}`);
  registry.gaugeFrom('g', 'h', { labelNames: ['x'], rows, labels: (row) => [row], value: ({ length }) => length });
  for (length of [10_000, 3, 40_000])
    expect((await registry.render()).toString()).toBe(await PrometheusRegistry.prototype.metrics.call(registry));
});

test('a name that is in use is refused, whichever kind of family has it', () => {
  const registry = new Registry('t_');
  const source = { labelNames: ['x'], rows: () => [], labels: () => [''], value: () => 1 };
  registry.gaugeFrom('a', 'h', source);
  registry.gauge('b', 'h');
  registry.histogram('c', 'h');
  expect(() => registry.gauge('a', 'h')).toThrow(/t_a has already been registered/);
  expect(() => registry.gaugeFrom('a', 'h', source)).toThrow(/t_a has already been registered/);
  expect(() => registry.counterFrom('b', 'h', source)).toThrow(/t_b has already been registered/);
  expect(() => registry.histogram('b', 'h')).toThrow(/t_b has already been registered/);
  expect(() => registry.counter('c', 'h')).toThrow(/t_c has already been registered/);
});

test('other work has its turn while the series of many clusters are written', async () => {
  const registry = new Registry('t_');
  manyClusters(registry, 20_000);
  expect(await turnsDuring(registry.render())).toBeGreaterThan(5);
});

test('other work has its turn while a long JSON answer is made and written', async () => {
  const cluster = { name: 'west', findings: Array.from({ length: 200 }, (_, index) => ({ index, text: 'x'.repeat(100) })) };
  const clusters = {
    *[Symbol.iterator]() {
      for (let index = 0; index < 2000; index += 1) yield cluster;
    },
  };
  expect(await turnsDuring(joinInSlices(jsonPieces({ clusters })))).toBeGreaterThan(5);
});

test('scrapes at the same time share one pass over the series', async () => {
  const registry = new Registry('t_');
  let passes = 0;
  const gate = Promise.withResolvers<void>();
  new Gauge({
    name: 'g',
    help: 'g',
    registers: [registry],
    async collect() {
      passes += 1;
      await gate.promise;
    },
  });
  server = await serveMetrics(registry, LISTEN);
  const socket = await open(server.port);
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk.toString();
  });
  // In one packet, so that all are there before the first is answered.
  socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(5));
  await until('the series are collected', () => passes > 0);
  gate.resolve();
  await until('all scrapes are answered', () => received.split('# HELP g g').length === 6);
  expect(passes).toBe(1);
});

test('connections beyond the bound are closed', async () => {
  server = await serveJson({ '/': () => [] }, LISTEN);
  let closed = 0;
  for (let index = 0; index < MAX_HTTP_CONNECTIONS + 3; index += 1) (await open(server.port)).once('close', () => closed++);
  await until('the last three are closed', () => closed === 3);
});

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

test('a JSON answer in pieces is the one in one piece', async () => {
  const leaf = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constant(undefined), fc.date({ noInvalidDate: true }));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 7 },
      leaf,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.string(), tie('value'), { maxKeys: 4 }),
    ),
  }));
  await fc.assert(
    fc.asyncProperty(value, async (content) => {
      const whole = JSON.stringify({ content });
      expect((await joinInSlices(jsonPieces({ content }))).toString()).toBe(whole);
      if (Array.isArray(content)) expect((await joinInSlices(jsonPieces({ content: content.values() }))).toString()).toBe(whole);
    }),
  );
});
