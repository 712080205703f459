/** Members of a replicated etcd that are set up, restarted, and replaced after they lost their data. */
import { describe, expect, test } from 'vitest';
import type { EtcdAdminClient } from '../../src/shared/etcd/client.ts';
import { type EtcdKey, keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { bytes, listAll, soon } from '../support/etcd/etcd-client.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { canMakeCertificates } from '../support/tls/certificates.ts';
import { until } from '../support/until.ts';
import { MembersRig, serves } from './members-rig.ts';

const missing = canMakeCertificates() ? undefined : 'no openssl 3';
/** Older releases lack a flag for TLS between members. */
const versions = etcdVersions().filter(({ minor }) => Number(minor.split('.')[1]) >= 6);

const ALL = ['mesh-0', 'mesh-1', 'mesh-2'];

describe.skipIf(missing !== undefined).each(versions)(
  `a replicated etcd $version${missing === undefined ? '' : ` (${missing})`}`,
  // They wait most of the time, for members to join and to catch up.
  { timeout: 240_000, concurrent: true },
  (binary) => {
    test('grows from one to three members with the users of a mesh, and restarts with its data', async () => {
      await using rig = await MembersRig.create(binary);
      await rig.startAll(1);
      await serves(rig, 0);
      expect(await rig.names(0)).toEqual(['mesh-0']);
      rig.setAbsent(2);
      await rig.member(1).setUp();
      await serves(rig, 1);
      expect(await rig.names(0)).toEqual(['mesh-0', 'mesh-1']);
      rig.setAbsent();
      await rig.member(2).setUp();
      await serves(rig, 2);
      expect(await rig.names(2)).toEqual(ALL);
      const client = rig.client(2);
      expect(await client.auth.isEnabled(soon())).toBe(true);
      expect([...(await client.auth.users(soon()))].sort()).toEqual(['admin-harbor', 'local-harbor', 'remote', 'root']);
      const { clusterId } = client.state;
      for (const member of rig.members) {
        await member.kill();
        const { status, stderr } = await member.init();
        expect(status, stderr).toBe(0);
        expect(stderr).toContain('its data are kept');
        member.start();
        await serves(rig, rig.members.indexOf(member));
      }
      expect(await rig.names()).toEqual(ALL);
      expect(client.state.clusterId).toBe(clusterId);
    });

    test('replaces each member that lost its data, the first one too, and loses no write', async () => {
      await using rig = await MembersRig.create(binary);
      await rig.startAll();
      await serves(rig);
      await using writer = startWriter(rig.client());
      const clusterId = await clusterOf(rig, 0);
      for (const [index, member] of rig.members.entries()) {
        await writer.untilMore();
        await member.lose();
        const { status, stderr } = await member.init();
        expect(status, stderr).toBe(0);
        expect(stderr).toContain('removed the entry of this member');
        member.start();
        await serves(rig, index);
        await writer.untilMore();
        expect(await rig.names()).toEqual(ALL);
      }
      const written = await writer.stop();
      for (const index of rig.members.keys()) {
        const client = rig.client(index);
        const keys = new Set((await listAll(client, 'cilium/written/')).map(({ key }) => key));
        expect(written.filter((key) => !keys.has(key))).toEqual([]);
        expect(client.state.clusterId).toBe(clusterId);
      }
    });
  },
);

async function clusterOf(rig: MembersRig, index: number): Promise<string | undefined> {
  const client = rig.client(index);
  await client.members.list(soon());
  return client.state.clusterId;
}

interface Writer extends AsyncDisposable {
  /** Resolves after the next confirmed write. */
  untilMore(): Promise<void>;
  /** The keys of all confirmed writes. */
  stop(): Promise<readonly EtcdKey[]>;
}

function startWriter(client: EtcdAdminClient): Writer {
  const confirmed: EtcdKey[] = [];
  const end = new AbortController();
  const done = (async () => {
    for (let index = 0; !end.signal.aborted; index += 1) {
      const key = keyOf(`cilium/written/${index}`);
      try {
        await client.txn([{ type: 'put', key, value: bytes('1'), lease: NO_LEASE }], { ...soon(), timeoutMs: 2_000 });
        confirmed.push(key);
      } catch {
        // Not confirmed: it may be there, or not.
      }
    }
  })();
  const stop = async () => {
    end.abort();
    await done;
    return confirmed;
  };
  return {
    async untilMore() {
      const before = confirmed.length;
      await until('a write is confirmed', () => confirmed.length > before);
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}
