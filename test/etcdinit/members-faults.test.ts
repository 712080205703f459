/** What a member does where the others are lost, unknown or not to be trusted, and after a run that was killed. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { bytes, soon } from '../support/etcd/etcd-client.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import type { Child } from '../support/processes/child.ts';
import { etcdPid, isAlive, reached, unstoppable } from '../support/processes/etcdinit-process.ts';
import { canMakeCertificates } from '../support/tls/certificates.ts';
import { until } from '../support/until.ts';
import { type MemberPod, MembersRig, serves } from './members-rig.ts';

const binary = etcdVersions().findLast(({ minor }) => Number(minor.split('.')[1]) >= 6);
const missing = !canMakeCertificates() ? 'no openssl 3' : binary === undefined ? 'no etcd 3.6' : undefined;

const ALL = ['mesh-0', 'mesh-1', 'mesh-2'];
const MARK = keyOf('cilium/mark');

const rigOf = async (count?: number) => MembersRig.create(binary as NonNullable<typeof binary>, count);

describe.skipIf(missing !== undefined)(
  `a member of a replicated etcd${missing === undefined ? '' : ` (${missing})`}`,
  // They wait most of the time, for members that do not answer.
  { timeout: 240_000, concurrent: true },
  () => {
    test('begins a new cluster where all have lost their data and say so', async () => {
      await using rig = await rigOf();
      await rig.startAll();
      await serves(rig);
      await mark(rig);
      for (const member of rig.members) await member.lose();
      await using second = rig.member(1).startInit();
      await using third = rig.member(2).startInit();
      await rig.member(0).setUp();
      for (const [child, index] of [
        [second, 1],
        [third, 2],
      ] as const) {
        // The third needs the quorum of the first two, and so the etcd of the second.
        void child.outcome.then(({ status }) => status === 0 && rig.member(index).start());
      }
      for (const child of [second, third]) expect((await child.outcome).status, child.stderrSoFar.slice(-2_000)).toBe(0);
      await serves(rig);
      expect(await rig.names()).toEqual(ALL);
      expect(await rig.client().get(MARK, soon())).toBeUndefined();
    });

    test('does not begin a cluster while another member exists and does not answer', async () => {
      await using rig = await rigOf();
      rig.setAbsent(2);
      const { status, stderr } = await rig.member(0).init('--timeout=6s');
      expect({ status, stderr }).toMatchObject({ status: 8, stderr: expect.stringContaining('ETCDINIT_MEMBERS') });
      expect(stderr).toContain('mesh-0 has no data and cannot begin a cluster: others may have data (mesh-1: client port:');
      expect(stderr).toContain('mesh-2: its host name does not exist');
      expect(stderr).toContain('delete the data of all');
      expect(readdirSync(rig.member(0).dataDir)).toEqual([]);
    });

    test('does not begin a cluster where its own name does not exist either', async () => {
      await using rig = await rigOf();
      rig.setAbsent(0, 1, 2);
      const { status, stderr } = await rig.member(0).init('--timeout=6s');
      expect({ status, stderr }).toMatchObject({ status: 8, stderr: expect.stringContaining('publishNotReadyAddresses') });
    });

    test('that is not the first never begins a cluster', async () => {
      await using rig = await rigOf();
      rig.setAbsent(0, 2);
      const { status, stderr } = await rig.member(1).init('--timeout=6s');
      expect({ status, stderr }).toMatchObject({ status: 8, stderr: expect.stringContaining('no other member serves requests') });
    });

    test('without data begins nothing and removes nothing where the only one with data has no quorum', async () => {
      await using rig = await rigOf();
      await rig.startAll();
      await serves(rig);
      await rig.member(0).lose();
      await rig.member(1).lose();
      await using second = rig.member(1).startInit('--timeout=20s');
      const { status, stderr } = await rig.member(0).init('--timeout=15s');
      expect({ status, stderr }).toMatchObject({
        status: 8,
        stderr: expect.stringContaining('mesh-1: it is waiting without data'),
      });
      expect(stderr).toContain('mesh-2: client port:');
      expect((await second.outcome).status).toBe(8);
    });

    test('is not removed where the others would have no quorum without it', async () => {
      await using rig = await rigOf();
      await rig.startAll(2);
      await serves(rig, 0);
      await rig.member(1).lose();
      const { status, stderr } = await rig.member(1).init('--timeout=10s');
      expect(status, stderr).toBe(8);
      rig.member(0).start();
      expect(readdirSync(rig.member(1).dataDir)).toEqual([]);
    });

    test.each(['starting etcd', 'becoming a voting member', 'waiting for this member to serve requests', 'stopping etcd'])(
      'joins where an earlier run was killed while %s',
      async (step) => {
        await using rig = await rigOf();
        await rig.startAll(1);
        await serves(rig, 0);
        rig.setAbsent(2);
        await killedAt(rig.member(1), step);
        await rig.member(1).setUp();
        await serves(rig, 1);
        expect(await rig.names(0, 1)).toEqual(['mesh-0', 'mesh-1']);
      },
    );

    test('that was added and never started is replaced', async () => {
      await using rig = await rigOf();
      await rig.startAll(1);
      await serves(rig, 0);
      const { peerUrl } = rig.member(1);
      await rig.client(0).members.addLearner(peerUrl, soon());
      expect(await rig.names(0)).toEqual(['mesh-0', 'not started (learner)']);
      rig.setAbsent(2);
      await rig.member(1).setUp();
      await serves(rig, 1);
      expect(await rig.names(0, 1)).toEqual(['mesh-0', 'mesh-1']);
    });

    test('whose first run was killed while it began a cluster begins again', async () => {
      await using rig = await rigOf();
      rig.setAbsent(1, 2);
      rig.setEtcd(unstoppable(binary?.path ?? ''));
      await killedAt(rig.member(0), 'stopping etcd');
      rig.setEtcd(`exec ${binary?.path} "$@"`);
      const { stderr } = await rig.member(0).setUp();
      expect(stderr).toContain('removed the contents of the data directory');
      await serves(rig, 0);
      expect(await rig.client(0).auth.isEnabled(soon())).toBe(true);
    });

    test('that was removed from the cluster joins again', async () => {
      await using rig = await rigOf();
      await rig.startAll();
      await serves(rig);
      await mark(rig);
      await rig.member(2).kill();
      const client = rig.client(0, 1);
      const lost = (await client.members.list(soon())).find(({ name }) => name === 'mesh-2');
      await until('the member is removed', async () => {
        await client.members.remove(lost?.id as never, soon());
        return true;
      });
      const { stderr } = await rig.member(2).setUp();
      expect(stderr).toContain('the cluster does not have the member mesh-2 of these data any more');
      await serves(rig, 2);
      expect(await rig.names()).toEqual(ALL);
      expect(await rig.client(2).get(MARK, soon())).toBeDefined();
    });

    test('with the data of a former cluster joins the one that the others serve', async () => {
      await using rig = await rigOf(2);
      await rig.startAll();
      await serves(rig);
      await rig.member(1).kill();
      await rig.member(0).lose();
      rig.setAbsent(1);
      await rig.member(0).setUp();
      await serves(rig, 0);
      rig.setAbsent();
      await rig.member(1).setUp();
      await serves(rig);
      expect(await rig.names()).toEqual(['mesh-0', 'mesh-1']);
    });

    test('keeps its data where no other member answers', async () => {
      await using rig = await rigOf();
      await rig.startAll();
      await serves(rig);
      await mark(rig);
      for (const member of rig.members) await member.kill();
      for (const member of rig.members) expect((await member.setUp()).stderr).toContain('its data are kept');
      await serves(rig);
      expect(await rig.client().get(MARK, soon())).toBeDefined();
    });

    test('with the certificate of another cluster is refused', async () => {
      await using rig = await rigOf();
      await rig.startAll(1);
      await serves(rig, 0);
      rig.setAbsent(2);
      const { certFile, keyFile } = rig.peerCertificate('peer-west');
      const other = [
        `--etcd-peer-cert-file=${certFile}`,
        `--etcd-peer-key-file=${keyFile}`,
        '--etcd-peer-cert-allowed-cn=peer-harbor',
      ];
      const { status, stderr } = await rig.member(1).init(...other, '--timeout=15s');
      expect(status, stderr.slice(-2_000)).not.toBe(0);
      expect(rig.member(0).output).toContain('client certificate authentication failed');
      // It has no vote, so the first one goes on.
      await mark(rig, 0);
      await rig.member(1).setUp();
      await serves(rig, 1);
    });

    test.each([
      ['does not take a process with the certificate of another cluster for a waiting member', 1],
      ['that is waiting does not answer one with the certificate of another cluster', 0],
    ])('%s', async (_, wrong) => {
      await using rig = await rigOf(2);
      rig.setAbsent();
      const { certFile, keyFile } = rig.peerCertificate('peer-west');
      const other = [`--etcd-peer-cert-file=${certFile}`, `--etcd-peer-key-file=${keyFile}`];
      const flagsOf = (index: number) => (index === wrong ? other : []);
      await using waiting = rig.member(1).startInit(...flagsOf(1), '--timeout=60s');
      await reached(waiting, 'waiting for the other members');
      const { status, stderr } = await rig
        .member(0)
        .init(...flagsOf(0), '--etcd-peer-cert-allowed-cn=peer-harbor', '--timeout=8s');
      expect(status, stderr).toBe(8);
      if (wrong === 1) expect(stderr).toContain('the common name of its certificate is peer-west, not peer-harbor');
      else expect(waiting.stderrSoFar).toContain('refused a connection to the peer port');
    });

    test('keeps the data of another member or cluster untouched, and refuses them', async () => {
      await using rig = await rigOf(1);
      await rig.startAll();
      await serves(rig, 0);
      await rig.member(0).kill();
      const record = join(rig.member(0).dataDir, 'member/clustermesh-apiserver.json');
      const text = readFileSync(record, 'utf8');
      const other = await rig.member(0).init('--cluster-name=west');
      expect(other).toMatchObject({ status: 2, stderr: expect.stringContaining('has the data of member mesh-0 of cluster') });
      writeFileSync(record, text.replace('mesh-0', 'mesh-1'));
      expect(await rig.member(0).init()).toMatchObject({ status: 2 });
      expect(existsSync(join(rig.member(0).dataDir, 'member/wal'))).toBe(true);
    });
  },
);

async function killedAt(member: MemberPod, step: string): Promise<void> {
  await using child: Child = member.startInit();
  await reached(child, step);
  child.kill('SIGKILL');
  await child.outcome;
  await until('its etcd is gone', () => !isAlive(etcdPid(child.stderrSoFar) ?? 0));
}

async function mark(rig: MembersRig, ...indexes: readonly number[]): Promise<void> {
  await rig.client(...indexes).txn([{ type: 'put', key: MARK, value: bytes('1'), lease: NO_LEASE }], soon());
}
