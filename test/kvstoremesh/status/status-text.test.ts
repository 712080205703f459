import { expect, test } from 'vitest';
import { NOTES, StatusFormError, statusText } from '../../../src/kvstoremesh/status/status-text.ts';

const NOW_MS = Date.parse('2026-02-03T04:07:10.500Z');
const brief = { verbose: false, nowMs: NOW_MS };
const never = '0001-01-01T00:00:00.000Z';

const berlin = {
  config: {
    'cluster-id': 7,
    'endpoint-slices-export-mode': 'services-and-endpointslices',
    required: true,
    retrieved: true,
    'service-exports-enabled': false,
    'sync-canaries': true,
  },
  connected: true,
  'last-failure': '2026-02-03T04:05:06.789Z',
  name: 'berlin',
  'num-endpoint-slices': 4,
  'num-endpoints': 120,
  'num-failures': 1,
  'num-identities': 31,
  'num-nodes': 5,
  'num-shared-services': 4,
  ready: true,
  status: 'etcd: 1/1 connected, ID: 1f2e3d4c5b6a7988',
  synced: { 'endpoint-slices': true, endpoints: true, identities: true, nodes: true, 'service-exports': true, services: true },
};
const oslo = {
  'last-failure': never,
  name: 'oslo',
  status: 'Waiting for initial connection to be established',
  synced: { services: true },
};

test('a ready cluster has one line, one that is not has its details too', () => {
  expect(statusText([berlin, oslo], brief).split(NOTES)[0]).toBe(
    [
      'KVStoreMesh:\t1/2 remote clusters ready',
      '   berlin: ready, 5 nodes, 120 endpoints, 31 identities, 4 services, 4 endpoint slices, 0 MCS-API service exports, 1 reconnections (last: 2m3s ago)',
      '   oslo: not-ready, 0 nodes, 0 endpoints, 0 identities, 0 services, 0 endpoint slices, 0 MCS-API service exports, 0 reconnections (last: never)',
      '   └  Waiting for initial connection to be established',
      '   └  remote configuration: expected=unknown, retrieved=unknown',
      '   └  synchronization status: nodes=false, endpoints=false, identities=false, services=true',
      '',
    ].join('\n'),
  );
});

test('rule 70: the details of ready clusters are shown on demand, the others have theirs always', () => {
  const text = statusText([berlin], { ...brief, verbose: true });
  expect(text.split('\n').slice(2, 5)).toEqual([
    '   └  etcd: 1/1 connected, ID: 1f2e3d4c5b6a7988',
    '   └  remote configuration: expected=true, retrieved=true, cluster-id=7, kvstoremesh=false, sync-canaries=true, service-exports=disabled, endpoint-slice-export-mode=services-and-endpointslices',
    '   └  synchronization status: nodes=true, endpoints=true, identities=true, services=true, endpoint-slices=true, service-exports=true',
  ]);
});

test('a cluster without members for service exports and slices supports none, and exports services only', () => {
  const config = { required: true, retrieved: true, 'cluster-id': 3 };
  expect(statusText([{ ...oslo, config }], brief)).toContain(
    'service-exports=unsupported, endpoint-slice-export-mode=services-only',
  );
});

test('additional notes follow the lines of the original', () => {
  const refused = { ...oslo, name: 'rome', connected: true, reason: 'ID 7 is in use by berlin; renumber one of them' };
  const [, notes] = statusText([berlin, oslo, refused], brief).split(NOTES);
  expect(notes).toBe(
    [
      '   oslo: not connected; run "kvstoremesh-dbg troubleshoot oslo" to check the connection',
      '   rome: ID 7 is in use by berlin; renumber one of them',
      '',
    ].join('\n'),
  );
  expect(statusText([berlin], brief)).not.toContain(NOTES);
});

test('no cluster at all has an explanation', () => {
  expect(statusText([], brief)).toBe(
    `KVStoreMesh:\t0/0 remote clusters ready\n${NOTES}   no remote clusters: the configuration directory has none, or another replica leads\n`,
  );
});

test('what a remote makes up cannot act upon a terminal, add lines or fill the screen', () => {
  const text = statusText([{ ...oslo, status: '\u001b[31mred\nline', reason: 'x'.repeat(10_000) }], brief);
  expect(text).toContain('   └   [31mred line\n');
  expect(text.length).toBeLessThan(4_000);
});

test.each([{}, null, 'x', [{ name: 1 }], [{ ...berlin, 'num-nodes': 'five' }], [{ ...berlin, 'last-failure': 'soon' }]])(
  'an answer of another form is refused by name: %j',
  (answer) => {
    expect(() => statusText(answer, brief)).toThrow(StatusFormError);
    expect(() => statusText(answer, brief)).toThrow(/is not the status of KVStoreMesh/);
  },
);
