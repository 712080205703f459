import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createEtcdClient } from '../../src/shared/etcd/client.ts';
import { EtcdMetrics, scopeOf } from '../../src/shared/etcd/metrics.ts';
import { RequestLimiter } from '../../src/shared/etcd/operations/request-limiter.ts';
import { keyOf, NO_LEASE, type Revision } from '../../src/shared/etcd/types.ts';
import { Registry } from '../../src/shared/http/metrics.ts';
import { MAX_CANARY_SCOPES } from '../../src/shared/limits.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { record, seen } from '../support/etcd/etcd-fixture.ts';
import { etcdVersions, startEtcd } from '../support/etcd/etcd-process.ts';
import { CertificateDirectory, canMakeCertificates } from '../support/tls/certificates.ts';

test.each([
  ['cilium/state/nodes/v1/east/n1', 'nodes/v1'],
  ['cilium/synced/east/cilium/state/nodes/v1', 'east/cilium'],
  ['cilium/synced/east/', 'east/'],
  ['cilium/cluster-config/east', 'cilium/clust'],
  ['cilium/.heartbeat', 'cilium/.hear'],
])('the scope of %s is %s, as in the original', (key, scope) => {
  expect(scopeOf(keyOf(key))).toBe(scope);
});

test.each([
  'cilium/synced/berlin/random-0',
  'cilium/synced/berlin/random-0/x',
  'cilium/synced/oslo/cilium/state/nodes/v1',
  'cilium/.heartbeat/0/1',
  'cilium/.heartbeat-0',
  'cilium/cluster-config/a/b/c',
  'cilium/state/random-0/v1/x',
  'cilium/state/nodes/v2/x',
  'random-0/1/2/3/4',
  'random-0',
])('the key %s of a remote makes no series of its own', (key) => {
  const fixed = ['other', 'cilium/.hear', 'cilium/clust'];
  expect(fixed).toContain(scopeOf(keyOf(key), 'berlin'));
});

test('however many keys others write, the series of events stay few', async () => {
  const registry = new Registry('t_');
  const metrics = new EtcdMetrics(registry);
  const [remote, local] = [metrics.remoteClient('berlin', undefined), metrics.client('etcd', undefined)];
  for (let index = 0; index < 5000; index += 1) {
    const names = [`cilium/synced/c${index}/cilium/x`, `cilium/synced/berlin/${index}/x`, `cilium/.heartbeat/${index}/x/y`];
    const events = [...names, `cilium/${index}/a/b/c`, `${index}`].map((name) => {
      return { type: 'delete', key: keyOf(name), modRevision: 1 as Revision } as const;
    });
    remote.events(events, 0);
    local.events(events, 0);
  }
  const series = (await registry.metrics()).split('\n').filter((line) => line.startsWith('t_kvstore_events_queue_seconds_count'));
  expect(series.length).toBeLessThanOrEqual(MAX_CANARY_SCOPES + 5);
});

describe.skipIf(etcdVersions().length === 0)('calls to an etcd', { timeout: 90_000 }, () => {
  test('are counted by what they are for, their events too, and a client that is forgotten leaves no series', async () => {
    await using etcd = await startEtcd();
    const registry = new Registry('t_');
    const metrics = new EtcdMetrics(registry);
    const limiter = new RequestLimiter({ qps: 500, maxInFlight: 7 }, systemClock);
    const observer = metrics.remoteClient('berlin', limiter);
    const config = { endpoints: [etcd.endpoint] };
    const client = createEtcdClient({ config, name: 'berlin', clock: systemClock, log: silentLogger, limiter, observer });
    const options = { signal: AbortSignal.timeout(60_000) };
    const key = keyOf('cilium/state/nodes/v1/east/n1');
    const canaries = keyOf('cilium/synced/berlin/');
    for await (const _ of client.list(canaries, options)) break;
    const from = await client.txn([{ type: 'put', key, value: Buffer.from('x'), lease: NO_LEASE }], options);
    await client.txn([{ type: 'put', key, value: Buffer.from('y'), lease: NO_LEASE }], options);
    await client.get(key, options);
    for await (const _ of client.list(keyOf('cilium/state/nodes/v1/'), options)) break;
    await client.grantLease(60, options);
    await client.txn([{ type: 'delete', key }], options);
    await client
      .txn([{ type: 'put', key, value: Buffer.from('x'), lease: 7n as typeof NO_LEASE }], options)
      .catch(() => undefined);
    await seen(record(client, 'cilium/state/nodes/v1/', from), 3);
    metrics.quorumError('no event received');
    const scrape = await registry.metrics();
    const operations = (labels: string) => `t_kvstore_operations_duration_seconds_count{${labels}}`;
    for (const line of [
      `${operations('scope="nodes/v1",kind="set",action="Update",outcome="success"')} 2`,
      `${operations('scope="nodes/v1",kind="set",action="Update",outcome="fail"')} 1`,
      `${operations('scope="nodes/v1",kind="delete",action="Delete",outcome="success"')} 1`,
      `${operations('scope="nodes/v1",kind="read",action="ListPrefix",outcome="success"')} 1`,
      `${operations('scope="lease",kind="set",action="AcquireLease",outcome="success"')} 1`,
      't_kvstore_events_queue_seconds_count{scope="nodes/v1",action="create"} 1',
      't_kvstore_events_queue_seconds_count{scope="nodes/v1",action="modify"} 1',
      't_kvstore_events_queue_seconds_count{scope="nodes/v1",action="delete"} 1',
      `${operations('scope="berlin/",kind="read",action="ListPrefix",outcome="success"')} 1`,
      't_kvstore_quorum_errors_total{error="no event received"} 1',
      't_api_limiter_processed_requests_total{api_call="etcd-berlin",outcome="fail",return_code="500"} 1',
      't_api_limiter_processing_duration_seconds{api_call="etcd-berlin",value="estimated"} 0',
      't_api_limiter_wait_duration_seconds{api_call="etcd-berlin",value="min"} 0',
      't_api_limiter_wait_duration_seconds{api_call="etcd-berlin",value="max"} 0',
      't_api_limiter_rate_limit{api_call="etcd-berlin",value="burst"} 500',
      't_api_limiter_rate_limit{api_call="etcd-berlin",value="limit"} 500',
      't_api_limiter_requests_in_flight{api_call="etcd-berlin",value="limit"} 7',
      't_api_limiter_requests_in_flight{api_call="etcd-berlin",value="in-flight"} 0',
    ]) {
      expect(scrape).toContain(`${line}\n`);
    }
    expect(scrape).toMatch(
      /t_api_limiter_processed_requests_total\{api_call="etcd-berlin",outcome="success",return_code="200"\} [1-9]/,
    );
    expect(scrape).toMatch(/t_api_limiter_wait_duration_seconds\{api_call="etcd-berlin",value="mean"\} \d/);
    expect(scrape).toMatch(/t_api_limiter_processing_duration_seconds\{api_call="etcd-berlin",value="mean"\} 0\.\d/);
    client.close();
    metrics.forgetRemote('berlin');
    expect(await registry.metrics()).not.toContain('berlin');
  });
});

test('limits that are not set are 0, and means are those of the last calls that succeeded', async () => {
  const registry = new Registry('t_');
  const observer = new EtcdMetrics(registry).client('etcd', undefined);
  const call = (code: string, seconds: number) =>
    observer.begin({ action: 'Get', kind: 'read', key: keyOf('a') })({ code, seconds, waitSeconds: seconds / 2 });
  for (let count = 0; count < 10; count += 1) call('OK', 100);
  for (let count = 0; count < 10; count += 1) call('OK', 2);
  call('ETCD_UNAVAILABLE', 50);
  const scrape = await registry.metrics();
  for (const line of [
    't_api_limiter_processing_duration_seconds{api_call="etcd",value="mean"} 2',
    't_api_limiter_wait_duration_seconds{api_call="etcd",value="mean"} 1',
    't_api_limiter_rate_limit{api_call="etcd",value="limit"} 0',
    't_api_limiter_rate_limit{api_call="etcd",value="burst"} 0',
    't_api_limiter_requests_in_flight{api_call="etcd",value="limit"} 0',
  ]) {
    expect(scrape).toContain(`${line}\n`);
  }
});

test.skipIf(!canMakeCertificates())(
  'the TLS files in use show when the first of their certificates ends (needs openssl 3)',
  async () => {
    const directory = new CertificateDirectory();
    const authority = directory.authority('ca');
    const { certFile, keyFile } = authority.issue({ name: 'client' });
    const bundle = join(directory.path, 'bundle.crt');
    writeFileSync(bundle, readFileSync(certFile, 'utf8') + readFileSync(authority.caFile, 'utf8'));
    const registry = new Registry('t_');
    const metrics = new EtcdMetrics(registry);
    const config = { endpoints: ['https://127.0.0.1:1'], caFile: bundle, certFile, keyFile };
    const observer = metrics.client('etcd', undefined);
    const client = createEtcdClient({ config, name: 'local', clock: systemClock, log: silentLogger, observer });
    onTestFinished(() => client.close());
    await client.get(keyOf('a'), { signal: AbortSignal.timeout(60_000) }).catch(() => undefined);
    const ends = [certFile, authority.caFile].map((file) => new X509Certificate(readFileSync(file)).validToDate.getTime() / 1000);
    const scrape = await registry.metrics();
    expect(scrape).toContain(`t_certificate_expiry_timestamp_seconds{file="${certFile}"} ${ends[0]}`);
    expect(scrape).toContain(`t_certificate_expiry_timestamp_seconds{file="${bundle}"} ${Math.min(...ends)}`);
    expect(scrape).not.toContain(keyFile);
  },
);
