/**
 * Very many objects of a real Kubernetes API, from its etcd to ours: each is exported once, even if lists are interrupted.
 * The memory it takes is bounded, the time is reported; `GOLDEN_SLOW=1` has it done with 100,000 objects.
 */
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callEtcd, prefixRange } from '../../support/etcd/etcd-gateway.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { KubeProxy, type ProxiedRequest } from '../../support/kubernetes/faulty-kubernetes-proxy.ts';
import { type KubeApiserver, kubeApiserverMissing, startKubeApiserver } from '../../support/kubernetes/kube-apiserver.ts';
import { type Daemon, startDaemon } from '../../support/processes/daemon.ts';
import { exportOf, layInto } from './bulk-objects.ts';

const missing = kubeApiserverMissing() ?? (etcdVersions().length === 0 ? 'no etcd' : undefined);
const COUNT = process.env.GOLDEN_SLOW === '1' ? 100_000 : 20_000;
const CANARIES = 'cilium/synced/east/cilium/state/';
const PAGE = 2_000;
const READY_WITHIN_MS = 400_000;
/** What the process may have in memory at its highest: twice what was seen. */
const MAX_PEAK_MB = 400 + (6 * COUNT) / 1000;

interface StoredKey {
  readonly value: Buffer;
  /** How often it was written since it was created. */
  readonly version: string;
  readonly modRevision: number;
}

const isBulk = ({ path }: ProxiedRequest) => /\/cilium(identities|endpoints)$/.test(path);
const isStream = (request: ProxiedRequest) => isBulk(request) && request.query.has('sendInitialEvents');
const isPage = (request: ProxiedRequest) => isBulk(request) && !request.query.has('watch');
const isFurtherPage = (request: ProxiedRequest) => isPage(request) && request.query.has('continue');

function answer(response: ServerResponse, code: number, reason: string): true {
  response.writeHead(code, { 'content-type': 'application/json', ...(code === 429 ? { 'retry-after': '1' } : {}) });
  response.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason }));
  return true;
}

/** All keys below `prefix`, as the gateway of etcd has them. */
async function storedKeys(etcd: EtcdProcess, prefix: string): Promise<ReadonlyMap<string, StoredKey>> {
  const found = new Map<string, StoredKey>();
  const range = prefixRange(Buffer.from(prefix));
  for (let { key } = range; ; ) {
    const { kvs = [], more } = (await callEtcd(etcd.endpoint, 'kv/range', { ...range, key, limit: PAGE }, 30_000)) as {
      kvs?: { key: string; value?: string; version: string; mod_revision: string }[];
      more?: boolean;
    };
    for (const { key: name, value = '', version, mod_revision } of kvs) {
      const stored = { value: Buffer.from(value, 'base64'), version, modRevision: Number(mod_revision) };
      found.set(Buffer.from(name, 'base64').toString('latin1'), stored);
    }
    const last = kvs.at(-1);
    if (more !== true || last === undefined) return found;
    key = Buffer.concat([Buffer.from(last.key, 'base64'), Buffer.alloc(1)]).toString('base64');
  }
}

/** How many keys were ever deleted from it. */
async function deletions(etcd: EtcdProcess): Promise<number> {
  const text = await (await fetch(`${etcd.metricsEndpoint}/metrics`)).text();
  const [, count] = /^etcd_(?:debugging_)?mvcc_delete_total (\S+)$/m.exec(text) ?? [];
  if (count === undefined) throw new Error('this etcd does not count deletions');
  return Number(count);
}

/** Megabytes that the process had in memory at its highest. */
function peakMb({ pid }: Daemon): number {
  const [, kilobytes = '0'] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}

describe.skipIf(missing !== undefined)(`a real Kubernetes API${missing === undefined ? '' : ` (${missing})`}`, () => {
  let api: KubeApiserver;
  const wanted = exportOf({ name: 'east', id: 7 }, COUNT);

  beforeAll(async () => {
    api = await startKubeApiserver();
    await layInto(api, COUNT);
  }, 300_000);

  afterAll(() => api?.stop(), 30_000);

  /** Exports all of it through `proxy`, and looks at each key as soon as the daemon is ready. Resolves with the daemon's log. */
  async function exported(proxy: KubeProxy, title: string): Promise<string> {
    await using etcd = await startEtcd();
    await using daemon = await startDaemon('clustermesh', [
      ...['--cluster-name=east', '--cluster-id=7', `--k8s-api-server-urls=${proxy.url}`],
      `--kvstore-opt=etcd.address=${etcd.endpoint}`,
    ]);
    const startedMs = performance.now();
    await daemon.ready(READY_WITHIN_MS);
    const tookMs = Math.round(performance.now() - startedMs);
    const stored = new Map([
      ...(await storedKeys(etcd, 'cilium/state/identities/')),
      ...(await storedKeys(etcd, 'cilium/state/ip/')),
    ]);
    process.stdout.write(`  ${COUNT} objects, ${title}: ${tookMs} ms, ${peakMb(daemon)} MB at the highest\n`);

    expect(peakMb(daemon)).toBeLessThan(MAX_PEAK_MB);
    expect(stored.size).toBe(wanted.size);
    const wrong = [...wanted].filter(([key, value]) => stored.get(key)?.value.equals(value) !== true);
    expect(wrong.slice(0, 5).map(([key]) => key)).toEqual([]);
    const rewritten = [...stored].filter(([, { version }]) => version !== '1');
    expect(rewritten.slice(0, 5).map(([key]) => key)).toEqual([]);
    expect(await deletions(etcd)).toBe(0);
    const canaries = await storedKeys(etcd, CANARIES);
    for (const scope of ['identities/v1', 'ip/v1']) {
      const announced = canaries.get(`${CANARIES}${scope}`)?.modRevision ?? 0;
      const late = [...stored].filter(([key, { modRevision }]) => key.includes(scope) && modRevision >= announced);
      expect(
        late.slice(0, 5).map(([key]) => key),
        scope,
      ).toEqual([]);
    }
    return daemon.log;
  }

  test(`fault 40: ${COUNT} objects are exported once each, and announced after the last of them`, {
    timeout: 500_000,
  }, async () => {
    await using proxy = await KubeProxy.start(api.kubeconfig);
    await exported(proxy, 'no fault');
  });

  test(`fault 40: ${COUNT} objects are exported once each, and none is missed, while their lists are cut, refused and expire`, {
    timeout: 500_000,
  }, async () => {
    await using proxy = await KubeProxy.start(api.kubeconfig);
    proxy.pageSize = PAGE;
    const seen = new Map<string, number>();
    const times = (what: string, { path }: ProxiedRequest) => {
      const name = `${what} ${path.split('/').at(-1)}`;
      const count = (seen.get(name) ?? 0) + 1;
      seen.set(name, count);
      return count;
    };
    // The stream and, later, the list without pages end after a quarter or so of what there is.
    proxy.cutAfterBytes = (request) => {
      if (isStream(request) && times('stream cut', request) <= 1) return COUNT * 100;
      if (isPage(request) && !request.query.has('limit') && times('list cut', request) <= 1) return COUNT * 100;
      return undefined;
    };
    proxy.fault = (request, response) => {
      if (!isFurtherPage(request)) return false;
      const page = times('page', request);
      if (page === 2) return answer(response, 429, 'TooManyRequests');
      return page === 4 && answer(response, 410, 'Expired');
    };
    const log = await exported(proxy, 'lists that are cut, refused and expire');
    for (const kind of ['ciliumidentities', 'ciliumendpoints']) {
      expect(seen.get(`stream cut ${kind}`), kind).toBeGreaterThan(1);
      expect(seen.get(`page ${kind}`), kind).toBeGreaterThanOrEqual(4);
      expect(seen.get(`list cut ${kind}`), kind).toBeGreaterThan(0);
    }
    expect(log).toContain('KUBE_THROTTLED');
  });
});
