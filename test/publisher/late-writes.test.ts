/** Writes of the publisher, or of others, that etcd carries out late. The audits are too rare to help, but where a test says so. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { DeadlineError } from '../../src/shared/etcd/errors.ts';
import { type EtcdClient, type EtcdKey, keyOf, type LeaseId, NO_LEASE } from '../../src/shared/etcd/types.ts';
import type { Section, SectionOptions } from '../../src/shared/publisher/types.ts';
import { bytes, history, revisionOf } from '../support/etcd/etcd-client.ts';
import { HangingMember } from '../support/etcd/hanging-member.ts';
import { until } from '../support/until.ts';
import { type Meddling, startMeddled } from './meddling.ts';
import { below, PREFIX, publisherFixture, type Rig, settledAs, signal, startRig, sync, texts } from './publisher-fixture.ts';

const fixture = publisherFixture();
const NEVER_MS = 3_600_000;
const OWNS = ['prefix', 'leased'] as const;

interface Hung {
  readonly member: HangingMember;
  readonly rig: Rig;
  readonly section: Section;
  /** Of a program that no fault affects. */
  readonly outside: EtcdClient;
}

/** Its publisher has written `a` and `b`. */
async function started(options: Partial<SectionOptions> = {}): Promise<Hung> {
  const member = await HangingMember.start(fixture.etcd.port);
  const rig = startRig({ endpoint: member.endpoint, auditIntervalMs: NEVER_MS });
  onTestFinished(() => rig.stop());
  const outside = fixture.outside();
  onTestFinished(() => outside.close());
  const section = rig.section(options);
  section.upsert(below('a'), bytes('first'));
  section.upsert(below('b'), bytes('first'));
  await sync(section);
  return { member, rig, section, outside };
}

/** The member has received `value` of `a`, and the publisher has lost its connection. */
async function loseWrite({ member, section }: Hung, value: string): Promise<void> {
  member.hang();
  section.upsert(below('a'), bytes(value));
  await member.received(value);
  member.accept();
}

/** `a` was put with this value after `since`, whatever it has now. */
async function wasPut(client: EtcdClient, value: string, since: number): Promise<boolean> {
  const events = await history(client, since);
  return events.some((event) => event.type === 'put' && event.key === below('a') && event.value.toString() === value);
}

describe.each(OWNS)('a write that etcd carries out after a later one, in a section that owns what is %s', (owns) => {
  test('is repaired at once', async () => {
    const hung = await started({ owns });
    const { member, section, outside, rig } = hung;
    await loseWrite(hung, 'old');
    section.upsert(below('a'), bytes('new'));
    await section.flushed(signal());
    const since = await revisionOf(outside);
    await member.resume();
    await until('the late write is seen', () => wasPut(outside, 'old', since));
    await settledAs(outside, { a: 'new', b: 'first' });
    expect(rig.recorded.repairs.get('overwritten')).toBe(1);
  });

  test('is repaired at once where the key was removed since', async () => {
    const hung = await started({ owns });
    const { member, section, outside } = hung;
    await loseWrite(hung, 'old');
    section.remove(below('a'));
    await section.flushed(signal());
    expect(await texts(outside)).toEqual({ b: 'first' });
    const since = await revisionOf(outside);
    await member.resume();
    await until('the late write is seen', () => wasPut(outside, 'old', since));
    await settledAs(outside, { b: 'first' });
  });

  test('causes no write where it is what the source wants again', async () => {
    const hung = await started({ owns });
    const { member, section, outside, rig } = hung;
    await loseWrite(hung, 'same');
    await section.flushed(signal());
    const since = await revisionOf(outside);
    await member.resume();
    section.upsert(below('b'), bytes('second'));
    await section.flushed(signal());
    const puts = (await history(outside, since)).map(({ key }) => key);
    expect(puts).toEqual([below('a'), below('b')]);
    expect(rig.recorded.repairs.get('overwritten') ?? 0).toBe(0);
  });
});

describe.each(OWNS)('an old value that is put externally, in a section that owns what is %s', (owns) => {
  const SECTION = { scope: 'nodes/v1', cluster: 'west', prefix: PREFIX, rank: 0, owns } as const;

  /** Calls `meanwhile` in the middle of the next transaction that touches `a`, before or after etcd has applied it. */
  const during = (meanwhile: (client: EtcdClient) => Promise<unknown>, moment: 'before' | 'after' | 'lost') => {
    let isArmed = false;
    const meddling: Meddling = (real) => ({
      txn: async (operations, options) => {
        if (!isArmed || operations.every(({ key }) => key !== below('a'))) return real.txn(operations, options);
        isArmed = false;
        if (moment === 'before') await meanwhile(real);
        const revision = await real.txn(operations, options);
        if (moment !== 'before') await meanwhile(real);
        if (moment === 'lost') throw new DeadlineError('Txn', 5_000);
        return revision;
      },
    });
    const arm = () => {
      isArmed = true;
    };
    return { meddling, arm };
  };

  const leaseOf = async (client: EtcdClient, key: EtcdKey): Promise<LeaseId> =>
    (await client.get(key, { signal: signal() }))?.lease ?? NO_LEASE;

  /** Two keys are written; an old value of the first one is put by the lease of the second at `moment` of a change made after `arm`. */
  const withOldPut = async (moment: 'before' | 'after' | 'lost') => {
    const putOld = async (client: EtcdClient) => {
      const lease = await leaseOf(client, below('b'));
      await client.txn([{ type: 'put', key: below('a'), value: bytes('first'), lease }], { signal: signal() });
    };
    const { meddling, arm } = during(putOld, moment);
    const { real, publisher } = startMeddled(fixture.etcd.endpoint, meddling, { auditIntervalMs: 50 });
    const section = publisher.section(SECTION);
    for (const name of ['a', 'b']) section.upsert(below(name), bytes('first'));
    await sync(section);
    arm();
    return { real, section };
  };

  test.each(['before', 'after', 'lost'] as const)(
    '%s etcd applies a write of the key, is repaired by an audit',
    async (moment) => {
      const { real, section } = await withOldPut(moment);
      section.upsert(below('a'), bytes('new'));
      await section.flushed(signal());
      await settledAs(real, { a: 'new', b: 'first' });
    },
  );

  test.each(['before', 'after', 'lost'] as const)('%s etcd removes the key, is removed by an audit', async (moment) => {
    const { real, section } = await withOldPut(moment);
    section.remove(below('a'));
    await section.flushed(signal());
    await settledAs(real, { b: 'first' });
  });

  test('long after the key was removed, is removed by an audit', async () => {
    const { rig, section } = await loaded({ owns, auditIntervalMs: 50 });
    const lease = await leaseOf(rig.client, below('b'));
    section.remove(below('a'));
    await section.flushed(signal());
    await rig.client.txn([{ type: 'put', key: below('a'), value: bytes('first'), lease }], { signal: signal() });
    await settledAs(rig.client, { b: 'first' });
    expect(rig.recorded.repairs.get('foreign')).toBe(1);
  });
});

test('a key of another program, on no lease of ours, stays in a section that owns what is leased', async () => {
  const { rig, section } = await loaded({ owns: 'leased', auditIntervalMs: 50 });
  await rig.client.txn([{ type: 'put', key: below('theirs'), value: bytes('x'), lease: NO_LEASE }], { signal: signal() });
  const lease = (await rig.client.get(below('b'), { signal: signal() }))?.lease ?? NO_LEASE;
  await rig.client.txn([{ type: 'put', key: below('back'), value: bytes('x'), lease }], { signal: signal() });
  await settledAs(rig.client, { a: 'first', b: 'first', theirs: 'x' });
  expect(section.stats.desired).toBe(2);
});

test('another writer that answers each repair is answered a few times, and then by audits only', async () => {
  const hung = await started();
  const { member, section, outside, rig } = hung;
  await loseWrite(hung, 'old');
  section.upsert(below('a'), bytes('new'));
  await section.flushed(signal());
  await member.resume();
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  let answers = 0;
  const answer = async () => {
    const from = ((await revisionOf(outside)) + 1) as never;
    const putTheirs = () =>
      outside.txn([{ type: 'put', key: below('a'), value: bytes('theirs'), lease: NO_LEASE }], { signal: signal() });
    await putTheirs();
    for await (const batch of outside.watch(below('a'), { signal: abort.signal, from, exact: true })) {
      if (batch.kind !== 'events' || !batch.events.some((event) => event.type === 'put' && event.value.toString() === 'new'))
        continue;
      answers += 1;
      await putTheirs();
    }
  };
  const answering = answer();
  await until('the publisher has stopped', async () => {
    const before = answers;
    section.upsert(keyOf(`${PREFIX}c`), bytes(String(Math.random())));
    await section.flushed(signal());
    return answers > 0 && answers === before && (await texts(outside)).a === 'theirs';
  });
  expect(rig.recorded.repairs.get('overwritten')).toBeLessThanOrEqual(5);
  abort.abort();
  await answering;
});

async function loaded({ owns, auditIntervalMs }: { owns: 'prefix' | 'leased'; auditIntervalMs: number }) {
  const rig = fixture.start({ auditIntervalMs });
  const section = rig.section({ owns });
  for (const name of ['a', 'b']) section.upsert(below(name), bytes('first'));
  await sync(section);
  return { rig, section };
}
