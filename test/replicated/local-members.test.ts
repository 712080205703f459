/** A kvstoremesh over a local etcd of three members, under load, and what an agent reads there while members fail. */
import { describe, test } from 'vitest';
import { etcdClusterMissing } from '../support/etcd/etcd-cluster.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { LoadedMembers } from './loaded-members.ts';

const LEADER_MOVES = 50;

interface Fault {
  /** The place of the member that fails. */
  readonly at: number;
  readonly happens: (members: LoadedMembers) => Promise<unknown>;
  readonly ends: (members: LoadedMembers) => Promise<unknown>;
}

/** `used`: the place of the member that the daemon writes to. */
type MakeFault = (used: number) => Fault;
type Faults = Readonly<Record<string, MakeFault>>;

const killed = (at: number): Fault => ({
  at,
  happens: ({ etcd }) => etcd.member(at).kill(),
  ends: ({ etcd }) => etcd.member(at).restart(),
});

const FAULTS: Faults = {
  'member a, which leads, is killed': () => killed(0),
  'member b is killed': () => killed(1),
  'member c is killed': () => killed(2),
  'the member in use is cut off from the others': (at) => ({
    at,
    happens: async ({ etcd }) => etcd.isolate(at),
    ends: async ({ etcd }) => etcd.heal(),
  }),
  'the connection to it is slow': (at) => ({
    at,
    happens: async ({ proxies }) => proxies[at]?.delay(200, 'stalls'),
    ends: async ({ proxies }) => proxies[at]?.heal(),
  }),
};

/** The member executes later what it had received, unless etcd rejects it: the same keys have been written through another one since. */
const SILENCES: Faults = {
  'the member in use hangs': (at) => ({
    at,
    happens: async ({ etcd }) => etcd.member(at).pause(),
    ends: async ({ etcd }) => etcd.member(at).resume(),
  }),
  'the connection to it drops all packets': (at) => ({
    at,
    happens: async ({ proxies }) => proxies[at]?.blackHole(),
    ends: async ({ proxies }) => proxies[at]?.heal(),
  }),
};

async function suffer(members: LoadedMembers, faults: readonly (readonly [string, MakeFault])[]): Promise<void> {
  for (const [name, make] of faults) {
    const fault = make(await members.used());
    members.lookPast(fault.at);
    await members.during(name, async () => {
      await fault.happens(members);
      await members.lasts();
      await fault.ends(members);
    });
  }
}

const missing = etcdClusterMissing();
const versions = etcdVersions().filter(({ minor }) => ['3.6', '3.7'].includes(minor));

describe.skipIf(missing !== undefined).each(versions)(
  `over three members of etcd $version${missing === undefined ? '' : ` (${missing})`}`,
  { timeout: 240_000 },
  ({ version, minor }) => {
    // Of the newest only what concerns its leader and its members.
    const isWhole = minor === '3.6';

    test('an agent gets each event once under load, and lists nothing again, while every member fails, leads, joins or leaves', async () => {
      const members = await LoadedMembers.start(version);
      const { etcd } = members;
      await etcd.moveLeader(0);
      await members.during('nothing fails', () => members.lasts());
      await suffer(members, Object.entries(FAULTS).slice(0, isWhole ? undefined : 1));
      await members.during(`the leader moves ${LEADER_MOVES} times`, async () => {
        for (let move = 0; move < LEADER_MOVES; move += 1) await etcd.moveLeader(move % 3);
      });
      await members.during('a member joins', () => etcd.add(0));
      const leader = await etcd.leader(0);
      // The one that joined could lead.
      const leaving = leader > 2 ? 0 : leader;
      const other = members.lookPast(leaving);
      await members.during('a member leaves, the leader where possible', () => etcd.remove(leaving, other));
      await members.verify();
      process.stdout.write(`etcd ${version}: ${members.measured}`);
    });

    test('the same, and no value is ever followed by an older one, while the member in use hangs or cannot be reached', async () => {
      const members = await LoadedMembers.start(version);
      const faults = Object.entries(SILENCES);
      await suffer(members, isWhole ? [...faults, ...faults] : faults);
      await members.verify();
      process.stdout.write(`etcd ${version}: ${members.measured}`);
    });
  },
);
