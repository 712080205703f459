import { describe, expect, test } from 'vitest';
import { importPolicyReport } from '../../../src/kvstoremesh/import-policy/report.ts';
import { CurrentPolicy } from '../../../src/kvstoremesh/import-policy/rules/current-policy.ts';
import { parseImportPolicy } from '../../../src/kvstoremesh/import-policy/rules/policy-file.ts';
import { registerRemoteMetrics } from '../../../src/kvstoremesh/status/remote-metrics.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { Mesh, type Remote, type Store, startLocal, startRemote } from '../../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../../support/until.ts';
import type { RuleText } from './model.ts';

const RANGE = 7 * 65_536;
const endpoint = (ip: string, identity: number, K8sNamespace: string, HostIP = '172.16.0.1') =>
  JSON.stringify({ IP: ip, Mask: null, HostIP, ID: identity, Key: 0, Metadata: '', K8sNamespace });
const labels = (namespace: string) => `k8s:app=x;k8s:io.kubernetes.pod.namespace=${namespace};`;
const service = (namespace: string, backend: string) =>
  JSON.stringify({ cluster: 'berlin', namespace, name: 'cart', backends: { [backend]: {} }, clusterID: 7 });

/** Two namespaces with an identity, two endpoints and a service each. */
const STATE = {
  'nodes/v1/berlin/n1': JSON.stringify({
    Name: 'n1',
    Cluster: 'berlin',
    IPAddresses: [{ Type: 'InternalIP', IP: '172.16.0.1' }],
  }),
  [`identities/v1/id/${RANGE + 1}`]: labels('shop'),
  [`identities/v1/id/${RANGE + 2}`]: labels('bank'),
  'ip/v1/default/10.8.0.1': endpoint('10.8.0.1', RANGE + 1, 'shop'),
  'ip/v1/default/10.8.0.2': endpoint('10.8.0.2', RANGE + 1, 'shop'),
  'ip/v1/default/10.8.1.1': endpoint('10.8.1.1', RANGE + 2, 'bank'),
  'ip/v1/default/10.8.1.2': endpoint('10.8.1.2', RANGE + 2, 'bank'),
  'services/v1/berlin/shop/cart': service('shop', '10.8.0.1'),
  'services/v1/berlin/bank/cart': service('bank', '10.8.1.1'),
};

function stateKey(name: string): string {
  return `cilium/state/${name}`;
}

function cacheKey(name: string): string {
  return `cilium/cache/${name}`
    .replace('ip/v1/default/', 'ip/v1/berlin/')
    .replace('identities/v1/id/', 'identities/v1/berlin/id/');
}

function mirrored(names: readonly string[], state: Readonly<Record<string, string>> = STATE): Record<string, string> {
  return Object.fromEntries(names.map((name) => [cacheKey(name), state[name] ?? '']));
}

const ALL = Object.keys(STATE);
const SHOP = ALL.filter((name) => !name.includes('bank') && !name.includes('10.8.1.') && !name.endsWith(String(RANGE + 2)));

async function startBerlin(state: Readonly<Record<string, string>> = STATE): Promise<Remote> {
  const remote = await startRemote('berlin');
  await remote.configure(7);
  await remote.put(Object.fromEntries(Object.entries(state).map(([name, value]) => [stateKey(name), value])));
  await remote.announce();
  return remote;
}

function policyOf(rule: RuleText | undefined): CurrentPolicy {
  const policy = new CurrentPolicy();
  setRule(policy, rule);
  return policy;
}

function setRule(policy: CurrentPolicy, rule: RuleText | undefined): void {
  const file = JSON.stringify({ clusters: rule === undefined ? [] : [{ match: 'berlin', ...rule }] });
  policy.set(parseImportPolicy(file, 'policy.yaml') ?? []);
}

/** The mod revisions of all mirrored keys and canaries. */
async function revisions(local: Store): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const key of Object.keys(await local.dump('cilium/')))
    if (/cache|synced|cluster-config/.test(key)) found[key] = await local.revision(key);
  return found;
}

/** Keys below `cilium/cache/` as they are written and removed from now on. */
async function recorded(local: Store, from: number, signal: AbortSignal): Promise<string[]> {
  const seen: string[] = [];
  const follow = async () => {
    for await (const batch of local.client.watch('cilium/cache/' as never, { from: (from + 1) as never, signal })) {
      if (batch.kind !== 'events') continue;
      for (const { type, key } of batch.events) seen.push(`${type === 'put' ? '' : '-'}${key}`);
    }
  };
  void follow().catch(() => undefined);
  return seen;
}

describe.skipIf(etcdVersions().length === 0)('the import policy of a running mirror', { timeout: 90_000 }, () => {
  test('lets in what its rule names, with the identities that these endpoints use, and says how much that is', async () => {
    await using local = await startLocal();
    await using berlin = await startBerlin();
    const policy = policyOf({ namespaces: { allow: ['sh*'] } });
    await using mesh = await Mesh.mirroring(local, [berlin], { policy });
    await mesh.holds(mirrored(SHOP));
    expect(mesh.status('berlin')?.['import-policy']).toEqual({
      match: 'berlin',
      kinds: [
        { kind: 'identities', imported: 1, of: 2 },
        { kind: 'endpoints', imported: 2, of: 4 },
        { kind: 'services', imported: 1, of: 2 },
      ],
      summary: '1 of 2 identities, 2 of 4 endpoints, 1 of 2 services imported by policy',
    });
  });

  test('a change touches only the keys concerned; what goes, goes services first and identities last', async () => {
    await using local = await startLocal();
    await using berlin = await startBerlin();
    const policy = policyOf(undefined);
    await using mesh = await Mesh.mirroring(local, [berlin], { policy });
    await mesh.holds(mirrored(ALL));
    const before = await revisions(local);
    const stop = new AbortController();
    const seen = await recorded(local, await local.revision(), stop.signal);
    setRule(policy, { namespaces: { allow: ['shop'] } });
    await mesh.holds(mirrored(SHOP));
    await mesh.synced('berlin');
    const after = await revisions(local);
    for (const [key, revision] of Object.entries(after)) expect(before[key], key).toBe(revision);
    await until('all removals are seen', () => seen.length >= 4);
    const kind = (key: string) => /cache\/([a-z]+)/.exec(key)?.[1];
    expect(seen.map(kind)).toEqual(['services', 'ip', 'ip', 'identities']);

    seen.length = 0;
    setRule(policy, { namespaces: { allow: ['shop', 'bank'] } });
    await mesh.holds(mirrored(ALL));
    await until('all writes are seen', () => seen.length >= 4);
    const written = seen.filter((key) => !key.includes('services')).map(kind);
    expect(written).toEqual(['identities', 'ip', 'ip']);
    stop.abort(new Error('seen'));
    for (const name of SHOP) expect(await local.revision(cacheKey(name))).toBe(before[cacheKey(name)]);
  });

  test('kinds that are left out go in the same order, keep their canary, and are announced to agents that wait for it', async () => {
    await using local = await startLocal();
    await using berlin = await startBerlin();
    const policy = policyOf(undefined);
    await using mesh = await Mesh.mirroring(local, [berlin], { policy });
    const before = await revisions(local);
    const stop = new AbortController();
    const seen = await recorded(local, await local.revision(), stop.signal);
    setRule(policy, { kinds: ['nodes'] });
    await mesh.holds(mirrored(['nodes/v1/berlin/n1']));
    await until('all removals are seen', () => seen.length >= 8);
    const kinds = seen.map((key) => /cache\/([a-z]+)/.exec(key)?.[1]);
    expect(kinds).toEqual(['services', 'services', 'ip', 'ip', 'ip', 'ip', 'identities', 'identities']);
    stop.abort(new Error('seen'));
    const canaries = Object.keys(await local.dump('cilium/synced/berlin/'));
    expect(canaries).toHaveLength(6);
    for (const canary of canaries) expect(await local.revision(canary)).toBe(before[canary]);
    await mesh.until('berlin is ready', 'berlin', ({ ready }) => ready);
    expect(mesh.status('berlin')?.synced).toMatchObject({ endpoints: true, identities: true, services: true });
    expect(mesh.status('berlin')?.['import-policy']?.summary).toMatch(
      /^no identities, endpoints, services, .* imported by policy$/,
    );
  });

  test('a first load writes all canaries, also of kinds that are left out', async () => {
    await using local = await startLocal();
    await using berlin = await startBerlin();
    await using mesh = await Mesh.mirroring(local, [berlin], { policy: policyOf({ kinds: [] }) });
    await mesh.holds({});
    expect(Object.keys(await local.dump('cilium/synced/berlin/'))).toHaveLength(6);
    expect(await local.dump('cilium/cluster-config/berlin')).not.toEqual({});
  });

  test('a restart with the same policy writes nothing', async () => {
    await using local = await startLocal();
    await using berlin = await startBerlin();
    const rule: RuleText = { namespaces: { allow: ['shop'] }, podCIDRs: ['10.8.0.0/16'], nodeCIDRs: ['172.16.0.0/12'] };
    const first = await Mesh.mirroring(local, [berlin], { policy: policyOf(rule) });
    await first.holds(mirrored(SHOP));
    await first.stop();
    const before = await revisions(local);
    const stop = new AbortController();
    const seen = await recorded(local, await local.revision(), stop.signal);
    await using mesh = await Mesh.mirroring(local, [berlin], { policy: policyOf(rule) });
    await berlin.put({ [stateKey('services/v1/berlin/shop/new')]: service('shop', '10.8.0.2') });
    await until('a later change is seen', () => seen.length > 0);
    expect(seen).toEqual(['cilium/cache/services/v1/berlin/shop/new']);
    await mesh.synced('berlin');
    const after = await revisions(local);
    for (const key of Object.keys(before).filter((each) => each.startsWith('cilium/cache/')))
      expect(after[key], key).toBe(before[key]);
    stop.abort(new Error('seen'));
  });

  test.each<readonly [string, RuleText, readonly string[], readonly string[]]>([
    ['other namespaces', { namespaces: { allow: ['shop'] } }, SHOP, ['services', 'ip', 'ip', 'identities']],
    [
      'fewer kinds',
      { kinds: ['nodes'] },
      ['nodes/v1/berlin/n1'],
      [...'ss']
        .map(() => 'services')
        .concat(
          [...'iiii'].map(() => 'ip'),
          'identities',
          'identities',
        ),
    ],
  ])(
    'a policy with %s after a restart withdraws services first and identities last, and nothing else changes',
    async (_, rule, left, order) => {
      await using local = await startLocal();
      await using berlin = await startBerlin();
      const first = await Mesh.mirroring(local, [berlin], { policy: policyOf(undefined) });
      await first.holds(mirrored(ALL));
      await first.stop();
      const before = await revisions(local);
      const stop = new AbortController();
      const seen = await recorded(local, await local.revision(), stop.signal);
      await using mesh = await Mesh.mirroring(local, [berlin], { policy: policyOf(rule) });
      await mesh.holds(mirrored(left));
      await until('all removals are seen', () => seen.length >= order.length);
      expect(seen.every((key) => key.startsWith('-'))).toBe(true);
      expect(seen.map((key) => /cache\/([a-z]+)/.exec(key)?.[1])).toEqual(order);
      stop.abort(new Error('seen'));
      await mesh.until('berlin is ready', 'berlin', ({ ready }) => ready);
      for (const name of left) expect(await local.revision(cacheKey(name))).toBe(before[cacheKey(name)]);
      expect(Object.keys(await local.dump('cilium/synced/berlin/'))).toHaveLength(6);
    },
  );

  test('a policy with a quota below what an earlier run has mirrored is carried out after a restart', async () => {
    await using local = await startLocal();
    await using berlin = await startBerlin();
    const more = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`ip/v1/default/10.8.2.${i}`, endpoint(`10.8.2.${i}`, RANGE + 2, 'bank')]),
    );
    await berlin.put(Object.fromEntries(Object.entries(more).map(([name, value]) => [stateKey(name), value])));
    const first = await Mesh.mirroring(local, [berlin], { policy: policyOf(undefined) });
    await first.holds({ ...mirrored(ALL), ...mirrored(Object.keys(more), more) });
    await first.stop();
    await using mesh = await Mesh.mirroring(local, [berlin], {
      policy: policyOf({ namespaces: { allow: ['shop'] }, quota: { keys: 6 } }),
    });
    await mesh.holds(mirrored(SHOP));
    await mesh.until('berlin is ready', 'berlin', ({ ready }) => ready);
  });

  test('what was about to go after a restart stays where the policy lets it in again', async () => {
    await using local = await startLocal();
    await using berlin = await startBerlin();
    const first = await Mesh.mirroring(local, [berlin], { policy: policyOf(undefined) });
    await first.holds(mirrored(ALL));
    await first.stop();
    const policy = policyOf({ podCIDRs: ['10.8.0.0/24'] });
    await using mesh = new Mesh(local, { policy });
    mesh.add(berlin);
    await mesh.until('berlin is connected', 'berlin', ({ connected }) => connected);
    setRule(policy, { namespaces: { allow: ['bank'] } });
    await mesh.holds(mirrored(ALL.filter((name) => name.startsWith('nodes') || !SHOP.includes(name))));
    setRule(policy, undefined);
    await mesh.holds(mirrored(ALL));
  });

  test('nothing is written or removed before the policy is usable', async () => {
    await using local = await startLocal();
    await using berlin = await startBerlin();
    const first = await Mesh.mirroring(local, [berlin]);
    await first.stop();
    await berlin.delete(stateKey('services/v1/berlin/bank/cart'));
    const policy = new CurrentPolicy();
    policy.failed('policy.yaml:1:1: wrong');
    await using mesh = new Mesh(local, { policy });
    mesh.add(berlin);
    await mesh.until('berlin waits for the policy', 'berlin', ({ reason }) => reason?.includes('import policy: policy.yaml:1:1'));
    await mesh.holds(mirrored(ALL));
    setRule(policy, undefined);
    await mesh.holds(mirrored(ALL.filter((name) => !name.endsWith('bank/cart'))));
  });

  test('identities come before the endpoints that use them, go after them, and return with them', async () => {
    await using local = await startLocal();
    await using berlin = await startBerlin();
    const policy = policyOf({ podCIDRs: ['10.8.0.0/24'] });
    await using mesh = await Mesh.mirroring(local, [berlin], { policy, unusedIdentityMs: 50 });
    const shop = SHOP.filter((name) => !name.startsWith('services')).concat('services/v1/berlin/shop/cart');
    await mesh.holds(mirrored(shop));
    const stop = new AbortController();
    const seen = await recorded(local, await local.revision(), stop.signal);
    const identity = cacheKey(`identities/v1/id/${RANGE + 2}`);
    const added = cacheKey('ip/v1/default/10.8.0.9');
    for (const _ of [1, 2]) {
      seen.length = 0;
      await berlin.put({ [stateKey('ip/v1/default/10.8.0.9')]: endpoint('10.8.0.9', RANGE + 2, 'bank') });
      await until('the endpoint is written', () => seen.includes(added));
      expect(seen).toEqual([identity, added]);
      await berlin.delete(stateKey('ip/v1/default/10.8.0.9'));
      await until('its identity is removed', () => seen.includes(`-${identity}`));
      expect(seen).toEqual([identity, added, `-${added}`, `-${identity}`]);
    }
    stop.abort(new Error('seen'));
  });

  test('addresses outside are not imported, are listed and counted, and what cannot be read is refused', async () => {
    await using local = await startLocal();
    await using berlin = await startBerlin();
    const rule: RuleText = { podCIDRs: ['10.8.0.0/16'], nodeCIDRs: ['172.16.0.0/12'] };
    await using mesh = new Mesh(local, { policy: policyOf(rule) });
    registerRemoteMetrics(mesh.registry, () => mesh.remotes.all, mesh.limits);
    mesh.add(berlin);
    await mesh.synced('berlin');
    await mesh.holds(mirrored(ALL));
    await berlin.put({
      [stateKey('ip/v1/default/8.8.8.8')]: endpoint('8.8.8.8', RANGE + 1, 'shop'),
      [stateKey('ip/v1/default/10.8.0.3')]: endpoint('10.8.0.3', RANGE + 1, 'shop', '9.9.9.9'),
      [stateKey('ip/v1/default/10.8.0.4')]: endpoint('0.0.0.0', RANGE + 1, 'shop'),
      [stateKey('ip/v1/default/10.8.0.5')]: '{"IP":"10.8.0.5","ID":',
      [stateKey('services/v1/berlin/shop/liar')]: service('shop', '1.1.1.1'),
      [stateKey('services/v1/berlin/shop/cart')]: service('shop', '10.8.0.2'),
    });
    await mesh.holds({ ...mirrored(ALL), [cacheKey('services/v1/berlin/shop/cart')]: service('shop', '10.8.0.2') });
    await until('all are counted', () => importPolicyReport(mesh.remotes.all).outside.length === 4);
    const { outside, clusters } = importPolicyReport(mesh.remotes.all);
    expect(outside.map(({ key, rule: list, address }) => [key, list, address]).sort()).toEqual([
      [cacheKey('ip/v1/default/10.8.0.3'), 'nodeCIDRs', '9.9.9.9'],
      [cacheKey('ip/v1/default/10.8.0.4'), 'podCIDRs', '0.0.0.0'],
      [cacheKey('ip/v1/default/8.8.8.8'), 'podCIDRs', '8.8.8.8'],
      [cacheKey('services/v1/berlin/shop/liar'), 'podCIDRs', '1.1.1.1'],
    ]);
    expect(clusters[0]?.refused).toEqual({ podCIDRs: 3, nodeCIDRs: 1, unreadable: 1 });
    const scrape = await mesh.registry.metrics();
    expect(scrape).toMatch(/^test_import_policy_excluded_keys\{target_cluster="berlin",kind="endpoints"\} 4$/m);
    expect(scrape).toMatch(/^test_import_policy_refused_total\{target_cluster="berlin",rule="podCIDRs"\} 3$/m);
  });

  test('a quota counts what is imported, names the policy, and a higher one resumes the mirror', async () => {
    await using local = await startLocal();
    await using berlin = await startBerlin();
    const policy = policyOf({ namespaces: { allow: ['shop'] }, quota: { keys: 6 } });
    await using mesh = await Mesh.mirroring(local, [berlin], { policy, limits: { keys: 1 } });
    await mesh.holds(mirrored(SHOP));
    const added = {
      'services/v1/berlin/shop/a': service('shop', '10.8.0.2'),
      'services/v1/berlin/shop/b': service('shop', '10.8.0.2'),
    };
    await berlin.put(Object.fromEntries(Object.entries(added).map(([name, value]) => [stateKey(name), value])));
    await mesh.until('berlin is stopped', 'berlin', ({ 'stopped-by': bound }) => bound === 'keys');
    expect(mesh.status('berlin')?.reason).toContain('raise quota.keys in the import policy');
    setRule(policy, { namespaces: { allow: ['shop'] }, quota: { keys: 7 } });
    await mesh.until('berlin is mirrored', 'berlin', ({ ready }) => ready);
    await mesh.holds({ ...mirrored(SHOP), ...mirrored(Object.keys(added), added) });
  });

  test('a change that restricts kinds and lowers the quota below half of what is mirrored is carried out', async () => {
    await using local = await startLocal();
    await using berlin = await startBerlin();
    const policy = policyOf(undefined);
    await using mesh = await Mesh.mirroring(local, [berlin], { policy });
    await mesh.holds(mirrored(ALL));
    setRule(policy, { kinds: ['nodes', 'services'], quota: { keys: 3 } });
    await mesh.holds(mirrored(ALL.filter((name) => /^(nodes|services)/.test(name))));
    await mesh.until('berlin is ready', 'berlin', ({ ready }) => ready);
    const [remote] = mesh.remotes.all;
    expect(remote?.bounds.exceeded('keys')).toBe(0);
  });

  test.each<RuleText['quota'] & object>([{ keys: 1 }, { bytes: '120' }])(
    'a quota of %o for a node needs no room for canaries, the cluster config and the heartbeat',
    async (quota) => {
      await using local = await startLocal();
      await using berlin = await startBerlin();
      const policy = policyOf({ kinds: ['nodes'], quota });
      await using mesh = await Mesh.mirroring(local, [berlin], { policy });
      await mesh.holds(mirrored(['nodes/v1/berlin/n1']));
      await berlin.put({ [stateKey('nodes/v1/berlin/n2')]: STATE['nodes/v1/berlin/n1'].padEnd(300) });
      await mesh.until('berlin is stopped', 'berlin', ({ 'stopped-by': bound }) => bound === Object.keys(quota)[0]);
      await mesh.holds(mirrored(['nodes/v1/berlin/n1']));
    },
  );

  test('a policy that cannot be carried out completely removes nothing', async () => {
    await using local = await startLocal();
    await using berlin = await startBerlin();
    const policy = policyOf(undefined);
    await using mesh = await Mesh.mirroring(local, [berlin], { policy, silenceMs: 1_000 });
    await mesh.holds(mirrored(ALL));
    await berlin.proxy.disconnect();
    setRule(policy, { namespaces: { allow: ['shop'] } });
    await mesh.until('berlin is lost', 'berlin', ({ connected }) => !connected);
    expect(Object.keys(await local.dump('cilium/cache/'))).toHaveLength(ALL.length);
    await berlin.proxy.heal();
    await mesh.holds(mirrored(SHOP));
  });
});
