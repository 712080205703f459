/**
 * The cost of the import guard per key: the keys of a cluster, from the pages of a listing in memory through a mirror
 * into the sections of a publisher, with `--import-guard` off and warn in turns. The result is the ratio within a round.
 * Times are processor times, so that other processes matter less.
 *
 * Also: the memory of an address that is compared, and the time for values that are slow to parse.
 */
import { addressKey } from '../../src/kvstoremesh/import-guard/addresses.ts';
import { foreignIdentity, nodeClaim, serviceClaim } from '../../src/kvstoremesh/import-guard/claims.ts';
import { DuplicateIps } from '../../src/kvstoremesh/import-guard/duplicate-ips.ts';
import { ImportGuard } from '../../src/kvstoremesh/import-guard/guard.ts';
import type { ImportGuardMode } from '../../src/kvstoremesh/import-guard/remote-guard.ts';
import { RemotePolicy } from '../../src/kvstoremesh/import-policy/remote-policy.ts';
import { ruleFor } from '../../src/kvstoremesh/import-policy/rules/policy.ts';
import { parseImportPolicy } from '../../src/kvstoremesh/import-policy/rules/policy-file.ts';
import { MAPPINGS } from '../../src/kvstoremesh/mappings.ts';
import { RemoteBounds } from '../../src/kvstoremesh/mirror/bounds.ts';
import { ListTurns } from '../../src/kvstoremesh/mirror/list-turns.ts';
import { Mirror } from '../../src/kvstoremesh/mirror/mirror.ts';
import { Quota } from '../../src/kvstoremesh/mirror/quota.ts';
import type { EtcdClient, EtcdKey, KeyValue, ListPage, Revision } from '../../src/shared/etcd/types.ts';
import { keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { Registry } from '../../src/shared/http/metrics.ts';
import { REMOTE_RELIST_MS } from '../../src/shared/limits.ts';
import { collectGarbage } from '../../src/shared/process/garbage.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { PublisherMetrics } from '../../src/shared/publisher/metrics.ts';
import { createPublisher } from '../../src/shared/publisher/publisher.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { cluster } from '../dataset.ts';
import type { Figure, RowContext } from '../frame/row.ts';

const PAGE = 1000;
const OWN = { name: 'west', id: 2, maxConnectedClusters: 255 };
const LIMITS = { keys: 1e9, bytes: 2 ** 40, 'key-size': 8192, 'value-size': 2 ** 20, 'change-rate': 5000 };

const revision = 1 as Revision;

/** What this process has had of the processor so far. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The heap, and the buffers outside of it. */
function usedBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** An etcd with `entries` that never changes, with the part of the client interface that a mirror uses. */
function unchanging(entries: readonly KeyValue[]): EtcdClient {
  const client: Partial<EtcdClient> = {
    async *list(prefix: EtcdKey) {
      const below = entries.filter(({ key }) => key.startsWith(prefix));
      for (let at = 0; at === 0 || at < below.length; at += PAGE) {
        yield { keyValues: below.slice(at, at + PAGE), revision, total: below.length } satisfies ListPage;
      }
    },
    async *watch(_prefix: EtcdKey, { signal }: { signal: AbortSignal }) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
  };
  return client as EtcdClient;
}

/** Nanoseconds for each key of a listing of all kinds. */
async function listing(client: EtcdClient, keys: number, mode: ImportGuardMode, file?: string): Promise<number> {
  const [clock, log] = [systemClock, silentLogger];
  const observer = new PublisherMetrics(new Registry('bench_'), clock);
  const idle = {} as EtcdClient;
  const publisher = createPublisher({ client: idle, root: keyOf('cilium/'), leaseTtlSeconds: 900, clock, log, observer });
  const bounds = new RemoteBounds(LIMITS, clock);
  const guard = new ImportGuard(mode, OWN).remote('north', log);
  if (guard !== undefined) guard.clusterId = 7;
  const policy = file === undefined ? undefined : new RemotePolicy('north', log);
  policy?.set(ruleFor(parseImportPolicy(file ?? '', 'policy') ?? [], 'north'));
  const shared = {
    local: idle,
    publisher,
    metrics: observer,
    turns: new ListTurns(clock),
    relistMs: REMOTE_RELIST_MS,
    guard,
    policy,
    clock,
    log,
  };
  const mirrors = MAPPINGS.map((mapping) => new Mirror(mapping, { ...shared, cluster: 'north' }));
  const stop = new AbortController();
  collectGarbage();
  const startMs = processorMs();
  const done = Promise.withResolvers<void>();
  let left = mirrors.length;
  const onListed = () => {
    left -= 1;
    if (left === 0) done.resolve();
  };
  const policyRun = policy?.begin({ ordered: undefined, unusedMs: 60_000, clock, signal: stop.signal });
  const follow = {
    policyRun,
    client: client as EtcdClient,
    cached: false,
    gate: undefined,
    quota: new Quota({ bounds, held: () => ({ keys: 0, bytes: 0 }), onExceeded: done.reject }),
    signal: stop.signal,
    onListed,
  };
  const following = mirrors.map((mirror) => mirror.follow(follow).catch(() => undefined));
  await done.promise;
  const nanoseconds = ((processorMs() - startMs) * 1e6) / keys;
  stop.abort(new Error('listed'));
  await Promise.all(following);
  return nanoseconds;
}

/** The same texts as the keys of a Map. */
function inMap(keys: number, text: (i: number) => string): { bytes: number; nanoseconds: number } {
  const texts = Array.from({ length: keys }, (_, i) => text(i));
  collectGarbage();
  const before = usedBytes();
  const startMs = processorMs();
  const map = new Map(texts.map((each) => [each, 0]));
  const nanoseconds = ((processorMs() - startMs) * 1e6) / keys;
  collectGarbage();
  const bytes = (usedBytes() - before) / map.size;
  // The texts must live as long as the measurement.
  return { bytes: texts.length > 0 ? bytes : 0, nanoseconds };
}

/** Bytes of an address, and nanoseconds to claim it. */
function addresses(keys: number, text: (i: number) => string): { bytes: number; nanoseconds: number } {
  const texts = Array.from({ length: keys }, (_, i) => text(i));
  const duplicates = new DuplicateIps(() => undefined);
  collectGarbage();
  const before = usedBytes();
  const startMs = processorMs();
  for (const each of texts) {
    const key = addressKey(each);
    if (key !== undefined) duplicates.claim(0, key, 1);
  }
  const nanoseconds = ((processorMs() - startMs) * 1e6) / keys;
  collectGarbage();
  const bytes = (usedBytes() - before) / duplicates.size;
  // The texts must live as long as the measurement.
  return { bytes: texts.length > 0 ? bytes : 0, nanoseconds };
}

function hostile(): [string, string, () => unknown][] {
  const filled = (unit: string) => unit.repeat(Math.floor(1_500_000 / unit.length));
  return [
    ['lists in lists', `{"x":${filled('[')}`, 'service'],
    ['members', `{${filled('"a":1,')}"b":1}`, 'service'],
    ['members with escapes', `{${filled('"\\u0061":1,')}"b":1}`, 'service'],
    ['names of the cluster', `{${filled('"cluster":"north",')}"b":1}`, 'service'],
    ['escaped names', `{${filled('"cluster":"n\\u006frth",')}"b":1}`, 'service'],
    ['identities', `{${filled('"ID":458752,')}"b":1}`, 'entry'],
    ['pod CIDRs', `{"IPv4SecondaryAllocCIDRs":[${filled('{"IP":"10.0.0.0","Mask":"////AA=="},')}null]}`, 'node'],
    ['members of pod CIDRs', `{${filled('"IPv4AllocCIDR":{"IP":"10.0.0.0","Mask":"////AA=="},')}"b":1}`, 'node'],
    ['one string', `{"x":"${filled('\\"')}"}`, 'service'],
  ].map(([name = '', text = '', kind]) => {
    const value = Buffer.from(text);
    if (kind === 'entry') return [name, `${value.length}`, () => foreignIdentity(value, () => true)];
    if (kind === 'node') return [name, `${value.length}`, () => nodeClaim(value, 'north', 7)];
    return [name, `${value.length}`, () => serviceClaim(value, 'north', 7)];
  });
}

const RULES: readonly (readonly [string, string])[] = [
  ['without keys left out', '{match: north}'],
  ['namespaces, all in', '{match: north, namespaces: {allow: ["team-*"]}}'],
  ['namespaces, a tenth in', '{match: north, namespaces: {allow: ["team-1*"]}}'],
  ['podCIDRs, all in', '{match: north, podCIDRs: [10.0.0.0/8]}'],
  ['podCIDRs, none in', '{match: north, podCIDRs: [192.168.0.0/16]}'],
  ['all, all in', '{match: north, namespaces: {deny: [x]}, podCIDRs: [10.0.0.0/8], nodeCIDRs: [172.16.0.0/12]}'],
];

/** A key of a listing under each kind of rule. */
export async function runImportPolicy({ options: { keys } }: RowContext): Promise<Figure[]> {
  const entries = [...cluster('north', 7, keys)].map((entry) => ({
    ...entry,
    createRevision: revision,
    modRevision: revision,
    lease: NO_LEASE,
  }));
  const client = unchanging(entries);
  const figures: Figure[] = [];
  await listing(client, keys, 'off');
  for (const [name, rule] of RULES) {
    const file = `clusters: [${rule}]`;
    // The code is compiled by a listing that does not count.
    await listing(client, keys, 'off', file);
    const without = await listing(client, keys, 'off');
    const value = await listing(client, keys, 'off', file);
    figures.push({ name, unit: 'ns/key', value, base: { name: 'without a policy', value: without } });
  }
  return figures;
}

export async function runImportGuard({ options: { keys } }: RowContext): Promise<Figure[]> {
  const entries = [...cluster('north', 7, keys)].map((entry) => ({
    ...entry,
    createRevision: revision,
    modRevision: revision,
    lease: NO_LEASE,
  }));
  const client = unchanging(entries);
  // The code is compiled by a listing that does not count.
  await listing(client, keys, 'off');
  await listing(client, keys, 'warn');
  const off = await listing(client, keys, 'off');
  const warn = await listing(client, keys, 'warn');
  const base = { name: 'without the guard', value: off };
  const kinds = [
    ['IPv4', (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`],
    ['IPv6', (i: number) => `fd00:${(i >> 16).toString(16)}::${(i & 0xffff).toString(16)}`],
  ] as const;
  const slow = hostile().map(([name, bytes, read]): Figure => {
    read();
    const startMs = processorMs();
    read();
    const value = processorMs() - startMs;
    const copyStartMs = processorMs();
    Buffer.alloc(Number(bytes), 'x').toString('utf8');
    return {
      name: `${bytes} bytes of ${name}`,
      unit: 'ms',
      value,
      base: { name: 'so many bytes as a string', value: processorMs() - copyStartMs },
    };
  });
  return [
    { name: 'a key of a listing', unit: 'ns', value: warn, base },
    ...kinds.flatMap(([name, text]): Figure[] => {
      const [compared, map] = [addresses(keys, text), inMap(keys, text)];
      const ofMap = (value: number) => ({ name: 'a key of a Map', value });
      return [
        { name: `an ${name} address, memory`, unit: 'bytes', value: compared.bytes, base: ofMap(map.bytes) },
        { name: `an ${name} address, time`, unit: 'ns', value: compared.nanoseconds, base: ofMap(map.nanoseconds) },
      ];
    }),
    ...slow,
  ];
}
