/** Traces of changes, from real daemons to a receiver of OTLP. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startEmbeddedKubernetes } from '../../demo/kubernetes/embedded-kubernetes.ts';
import { Registry } from '../../src/shared/http/metrics.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { collectorUrl } from '../../src/shared/tracing/collector.ts';
import { MAX_TRACES_UNDER_WAY } from '../../src/shared/tracing/limits.ts';
import { Tracer } from '../../src/shared/tracing/tracer.ts';
import { startEtcd } from '../support/etcd/etcd-process.ts';
import { ClustermeshRun, EAST } from '../support/kubernetes/clustermesh-run.ts';
import { KubernetesRequests } from '../support/kubernetes/kubernetes-requests.ts';
import { ConfigDirectory } from '../support/kvstoremesh/config-directory.ts';
import { KvstoremeshRun } from '../support/kvstoremesh/kvstoremesh-run.ts';
import { startFullRemote, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { canMakeCertificates } from '../support/tls/certificates.ts';
import { CA, IDENTIFIED, Pki, SERVER } from '../support/tls/pki.ts';
import { until } from '../support/until.ts';
import { Collector } from './collector.ts';

const SECRET = 'value-that-must-not-leave';

describe('kvstoremesh', () => {
  test('a change of a remote is one trace: read, admitted, and confirmed by the local etcd', async () => {
    await using collector = await Collector.start();
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const directory = new ConfigDirectory();
    directory.add(berlin);
    const flags = [`--trace-endpoint=${collector.url}`, '--trace-sample=1', '--remote-max-value-size=1000'];
    await using daemon = await KvstoremeshRun.start(local, directory, { flags });
    await daemon.ready();
    const node = 'cilium/state/nodes/v1/berlin/late';
    await berlin.put({ [node]: SECRET });
    const put = await until('the trace is there', () => collector.root('clustermesh.key', node));
    expect(put).toMatchObject({
      name: 'mirror key',
      attributes: {
        'clustermesh.cluster': 'berlin',
        'clustermesh.scope': 'nodes/v1',
        'clustermesh.operation': 'put',
        'clustermesh.admitted': true,
        'clustermesh.written': true,
        'clustermesh.confirmed': true,
      },
      resource: { 'service.name': 'kvstoremesh', 'k8s.cluster.name': 'harbor' },
    });
    const steps = collector.steps(put);
    expect(steps.map(({ name }) => name)).toEqual(['admit', 'write']);
    const times = [put.startNs, ...steps.flatMap(({ startNs, endNs }) => [startNs, endNs]), put.endNs];
    expect(times).toEqual([...times].sort((a, b) => Number(a - b)));
    // A value that is refused passes no stage, and a listing is no change.
    const refused = 'cilium/state/services/v1/berlin/shop/big';
    await berlin.put({ [refused]: 'x'.repeat(2_000) });
    const big = await until('the refused one is there', () => collector.root('clustermesh.key', refused));
    expect(big.attributes).toMatchObject({ 'clustermesh.admitted': false, 'clustermesh.written': false });
    expect(collector.steps(big)).toEqual([]);
    await berlin.delete(node);
    const isDeleted = ({ attributes }: { attributes: Readonly<Record<string, unknown>> }) =>
      attributes['clustermesh.operation'] === 'delete' && attributes['clustermesh.key'] === node;
    await until('the deletion is there', () => collector.spans.some(isDeleted));
    expect(collector.root('clustermesh.key', 'cilium/state/nodes/v1/berlin/node-1')).toBeUndefined();
    expect(collector.faults).toEqual([]);
    expect(collector.bodies.join('')).not.toContain(SECRET);
  });

  test('a collector that is away or refuses costs nothing but traces, which are counted', async () => {
    await using collector = await Collector.start();
    collector.status = 503;
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const directory = new ConfigDirectory();
    directory.add(berlin);
    const { log, lines } = recordingLogger();
    const flags = [`--trace-endpoint=${collector.url}`, '--trace-sample=1'];
    await using daemon = await KvstoremeshRun.start(local, directory, { flags, log });
    await daemon.ready();
    await berlin.put({ 'cilium/state/nodes/v1/berlin/late': 'x' });
    const copy = 'cilium/cache/nodes/v1/berlin/late';
    await until('it is mirrored', async () => (await local.dump(copy))[copy] === 'x');
    const dropped = /trace_spans_total\{outcome="dropped"\} [1-9]/;
    await until('the loss is counted', async () => dropped.test((await daemon.get('metrics', '/metrics')).body));
    const warnings = lines.filter(({ msg }) => msg.includes('cannot send traces'));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.reason).toContain('status 503');
  });
});

test('clustermesh: an event of Kubernetes is one trace, until the local etcd confirms the key', async () => {
  await using collector = await Collector.start();
  await using etcd = await startEtcd();
  const server = await startEmbeddedKubernetes();
  const requests = new KubernetesRequests({ url: server.url });
  const daemon = await ClustermeshRun.start([
    ...EAST,
    `--kvstore-opt=etcd.address=${etcd.endpoint}`,
    `--k8s-api-server-urls=${server.url}`,
    `--trace-endpoint=${collector.url}/v1/traces`,
    '--trace-sample=1',
  ]);
  try {
    await until('it is ready', async () => (await daemon.readiness()) === 'Ready');
    const spec = { addresses: [{ type: 'InternalIP', ip: '192.0.2.7' }] };
    await requests.create('/apis/cilium.io/v2/ciliumnodes', {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNode',
      metadata: { name: 'late' },
      spec,
    });
    const root = await until('the trace is there', () => collector.root('clustermesh.object', 'late'));
    expect(root).toMatchObject({
      name: 'export object',
      attributes: { 'clustermesh.scope': 'nodes/v1', 'clustermesh.written': true, 'clustermesh.confirmed': true },
      resource: { 'service.name': 'clustermesh', 'k8s.cluster.name': 'east' },
    });
    expect(collector.steps(root).map(({ name }) => name)).toEqual(['convert', 'write']);
    expect(collector.faults).toEqual([]);
    expect(collector.bodies.join('')).not.toContain('192.0.2.7');
  } finally {
    await daemon.stop();
    requests.close();
    await server.stop();
  }
});

describe('the tracer', () => {
  const tracer = (url: string, sampleOneIn: number, ca?: string) =>
    new Tracer({
      service: 'test',
      localCluster: 'east',
      url: collectorUrl('trace-endpoint', url),
      ca,
      sampleOneIn,
      clock: systemClock,
      log: silentLogger,
      metrics: new Registry('test_'),
    });

  test('takes one change in so many, and no more than a bounded number at a time', () => {
    const few = tracer('http://localhost:1', 10);
    const samples = Array.from({ length: 100 }, () => few.sample()).filter((trace) => trace !== undefined);
    expect(samples).toHaveLength(10);
    const all = tracer('http://localhost:1', 1);
    const taken = Array.from({ length: 100 }, () => all.sample()).filter((trace) => trace !== undefined);
    expect(taken).toHaveLength(MAX_TRACES_UNDER_WAY);
    taken[0]?.end('test', {});
    expect(all.sample()).toBeDefined();
  });

  test.skipIf(!canMakeCertificates())(
    `trusts a collector over TLS only by its CA${canMakeCertificates() ? '' : ' (no openssl)'}`,
    async () => {
      using pki = new Pki();
      const authority = pki.authority('collectors', [...CA, ...IDENTIFIED]);
      const certificate = pki.issue({ name: 'collector', issuer: authority, extensions: SERVER });
      await using collector = await Collector.start(certificate);
      const stop = new AbortController();
      const trusting = tracer(collector.url, 1, authority.cert);
      const distrusting = tracer(collector.url, 1);
      const runs = [trusting.run(stop.signal), distrusting.run(stop.signal)];
      distrusting.sample()?.end('from a stranger', {});
      trusting.sample()?.end('from a friend', {});
      await until('a span arrives', () => collector.spans.length > 0);
      stop.abort();
      await Promise.all(runs);
      expect(collector.spans.map(({ name }) => name)).toEqual(['from a friend']);
    },
  );

  test.each([
    ['http://collector.example.org:4318', 'is plain http to another machine'],
    ['http://127.0.0.1.example.org', 'is plain http to another machine'],
    ['https://user:word@collector.example.org', 'contains credentials'],
    ['https://collector.example.org/?token=1', 'has a query or a fragment'],
    ['ftp://localhost', 'is not an http or https URL'],
    ['collector:4318', 'is not an http or https URL'],
    ['', 'is not a URL'],
  ])('does not send to %s', (url, problem) => {
    expect(() => collectorUrl('trace-endpoint', url)).toThrow(problem);
  });

  test.each([
    ['https://collector.example.org:4318', 'https://collector.example.org:4318/v1/traces'],
    ['http://[::1]:4318/', 'http://[::1]:4318/v1/traces'],
    ['http://localhost:4318/other', 'http://localhost:4318/other'],
  ])('sends to %s', (url, expected) => {
    expect(collectorUrl('trace-endpoint', url).href).toBe(expected);
  });
});

test('a CA file that is missing is refused at the start', async () => {
  await using local = await startLocal();
  const directory = new ConfigDirectory();
  const file = join(directory.path, '..', 'missing.pem');
  const flags = ['--trace-endpoint=https://localhost:1', `--trace-ca-file=${file}`];
  await using daemon = await KvstoremeshRun.start(local, directory, { flags });
  await expect(daemon.ended).rejects.toThrow(/--trace-ca-file: .*missing\.pem/);
});
