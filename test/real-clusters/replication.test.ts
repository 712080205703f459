/**
 * The replicated etcd of docs/chart.md on a real cluster: its Pods are lost one after the other while Services change. The
 * other cluster has both daemons in one container.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterMissing } from '../support/cluster/node-programs.ts';
import { until } from '../support/until.ts';
import type { Changes, ServiceReader } from './changes.ts';
import { JoinedClusters, READY } from './joined-clusters.ts';

const MEMBERS = [0, 1, 2].map((ordinal) => `clustermesh-apiserver-${ordinal}`);
const MEMBER_LIST = [
  'exec clustermesh-apiserver-1 --container apiserver -- etcdctl --endpoints=https://127.0.0.1:2379',
  ...['cacert=ca.crt', 'cert=tls.crt', 'key=tls.key'].map((flag) => `--${flag.replace('=', '=/var/lib/cilium/etcd-secrets/')}`),
  'member list --write-out=json',
].join(' ');

const missing = clusterMissing();

describe.skipIf(missing !== undefined)(`a replicated etcd${missing === undefined ? '' : ` (${missing})`}`, () => {
  let joined: JoinedClusters;
  let changes: Changes;
  let reader: ServiceReader;

  beforeAll(async () => {
    const [east, west] = [{ combined: { enabled: true } }, { etcd: { replication: { enabled: true } } }];
    joined = await JoinedClusters.start((clusters) => clusters.installChart({ east, west }));
    ({ changes, reader } = await joined.underChanges());
  }, 1_500_000);

  afterAll(() => joined?.[Symbol.asyncDispose](), 60_000);

  async function uidOf(pod: string): Promise<string> {
    return (await joined.kubectl('west', `get pod ${pod} --ignore-not-found --output=jsonpath={.metadata.uid}`)).trim();
  }

  test.each(MEMBERS)(
    '%s loses its Pod and its data: readers miss nothing and list nothing again',
    { timeout: 600_000 },
    async (pod) => {
      const [before, count] = [await uidOf(pod), changes.count];
      await joined.kubectl('west', `delete pod ${pod} --grace-period=0 --force`);
      await until('there is another Pod', async () => ![before, ''].includes(await uidOf(pod)), READY);
      await joined.rolledOut(['west']);
      await reader.hasAll(changes);
      expect(changes.count).toBeGreaterThan(count);
      expect({ relists: reader.relists, deletions: reader.deletions }).toEqual({ relists: 0, deletions: [] });
    },
  );

  test('three members are left, and each of them has started', async () => {
    const { members } = JSON.parse(await joined.kubectl('west', MEMBER_LIST)) as { readonly members: readonly object[] };
    expect(members).toHaveLength(MEMBERS.length);
    expect(members).toEqual(expect.arrayContaining(MEMBERS.map((name) => expect.objectContaining({ name }))));
  });
});
