/** A transaction of a leader that etcd receives, but executes only after the leader has given it up and written again. */
import { test as anyTest, expect } from 'vitest';
import { DeadlineError, UnavailableError } from '../../src/shared/etcd/errors.ts';
import { FenceRenewedError } from '../../src/shared/etcd/fence-renewed-error.ts';
import { keyOf, NO_LEASE, type TxnOperation } from '../../src/shared/etcd/types.ts';
import type { Term } from '../../src/shared/leadership/leadership.ts';
import { bytes, soon } from '../support/etcd/etcd-client.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { HangingMember } from '../support/etcd/hanging-member.ts';
import { type Store, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';
import { queue, queueOf, Replica } from './replica.ts';

const test = anyTest.skipIf(etcdVersions().length === 0);

const put = (name: string, value: string): TxnOperation => ({
  type: 'put',
  key: keyOf(`cilium/${name}`),
  value: bytes(value),
  lease: NO_LEASE,
});

/** Sends it to the member, which hangs. Resolves when the term's client has given up. */
async function loseWrite(member: HangingMember, term: Term, value: string, name = 'x'): Promise<void> {
  member.hang();
  const lost = term.client.txn([put(name, value)], { signal: term.signal, timeoutMs: 500 });
  const given = expect(lost).rejects.toThrow(DeadlineError);
  await member.received(value);
  await given;
  member.accept();
}

const write = (term: Term, ...operations: readonly TxnOperation[]) =>
  until('it is written', () => term.client.txn(operations, { signal: term.signal }).catch(() => undefined));

async function started(): Promise<{ store: Store; member: HangingMember; replica: Replica; term: Term }> {
  const store = await startLocal();
  const member = await HangingMember.start(store.process.port);
  const replica = new Replica(store, { endpoint: member.endpoint });
  const term = await replica.leads();
  await term.client.txn([put('first', '')], soon());
  return { store, member, replica, term };
}

test('an older value never overwrites a newer one, and the term continues', async () => {
  const { store, member, replica, term } = await started();
  await using _ = store;
  await loseWrite(member, term, 'old');
  await write(term, put('x', 'new'));
  await member.resume();
  expect(await store.dump('cilium/x')).toEqual({ 'cilium/x': 'new' });
  await write(term, put('x', 'newer'));
  expect(await store.dump('cilium/x')).toEqual({ 'cilium/x': 'newer' });
  expect(term.signal.aborted).toBe(false);
  expect(replica.terms).toBe(1);
});

test('a key that was removed since does not come back', async () => {
  const { store, member, term } = await started();
  await using _ = store;
  await loseWrite(member, term, 'old');
  await write(term, { type: 'delete', key: keyOf('cilium/x') });
  await member.resume();
  expect(await store.dump('cilium/x')).toEqual({});
});

test('a write of an earlier term of the same process is rejected too', async () => {
  const { store, member, replica, term } = await started();
  await using _ = store;
  await loseWrite(member, term, 'old');
  const [own] = await queue(store);
  await store.delete(own?.key ?? '');
  const next = await until('it leads another term', () => (replica.terms === 2 ? replica.term : undefined), { withinMs: 45_000 });
  await write(next, put('x', 'new'));
  await member.resume();
  expect(await store.dump('cilium/x')).toEqual({ 'cilium/x': 'new' });
});

test('one rewrite of the lock key is enough for several writes with unknown outcomes; the key keeps its place, lease and value', async () => {
  const { store, member, term } = await started();
  await using _ = store;
  const [before] = await queue(store);
  const lock = before?.key ?? keyOf('');
  const found = await store.client.get(lock, soon());
  member.hang();
  const names = Array.from({ length: 8 }, (_none, at) => `x${at}`);
  const lost = names.map((name) => term.client.txn([put(name, `old-${name}`)], { signal: term.signal, timeoutMs: 500 }));
  const ended = Promise.allSettled(lost);
  for (const name of names) await member.received(`old-${name}`);
  await ended;
  member.accept();
  const since = await store.revision();
  await Promise.all(names.map((name) => write(term, put(name, 'new'))));
  await member.resume();
  expect(Object.values(await store.dump('cilium/x'))).toEqual(names.map(() => 'new'));
  const after = await store.client.get(lock, soon());
  expect(after).toMatchObject({ createRevision: found?.createRevision, lease: found?.lease, value: found?.value });
  const rewrites = (await store.client.get(lock, soon()))?.modRevision;
  // The first change since then, and no later one: the eight writes came after it.
  expect(rewrites).toBe(since + 1);
});

test('a rewrite of the lock key whose own outcome is unknown is repeated, and harmless when it is executed later', async () => {
  const { store, member, term } = await started();
  await using _ = store;
  const [own] = await queue(store);
  member.hang();
  const lost = term.client.txn([put('x', 'old')], { signal: term.signal, timeoutMs: 500 });
  await expect(lost).rejects.toThrow(DeadlineError);
  const waiting = expect(term.client.txn([put('x', 'never sent')], soon())).rejects.toThrow(UnavailableError);
  // Once by the write, and twice by the rewrite.
  await member.received(own?.key ?? '', 3);
  member.accept();
  await waiting;
  await write(term, put('x', 'new'));
  await member.resume();
  await term.client.txn([put('y', 'new')], soon());
  expect(await store.dump('cilium/x')).toEqual({ 'cilium/x': 'new' });
  expect(term.signal.aborted).toBe(false);
});

test('a write under way while the lock key is rewritten is not taken for a lost lock, and reports that it has to be repeated', async () => {
  const { store, member, term } = await started();
  await using _ = store;
  const [own] = await queue(store);
  // By another program: the leader has no reason to expect it.
  await store.client.txn([{ type: 'put', key: own?.key ?? keyOf(''), value: bytes(''), lease: own?.lease ?? NO_LEASE }], soon());
  await expect(term.client.txn([put('x', '1')], soon())).rejects.toThrow(FenceRenewedError);
  await term.client.txn([put('x', '2')], soon());
  expect(await store.dump('cilium/x')).toEqual({ 'cilium/x': '2' });
  expect(term.signal.aborted).toBe(false);
  member.accept();
});

test('a replica that joins after the lock key was rewritten does not precede the leader', async () => {
  const { store, member, term } = await started();
  await using _ = store;
  const second = new Replica(store);
  await queueOf(store, 2);
  await loseWrite(member, term, 'old');
  await write(term, put('x', 'new'));
  const third = new Replica(store, { standbyMs: 50 });
  await until('it is a standby', () => third.isStandby);
  expect([second.isLeading, third.isLeading, term.signal.aborted]).toEqual([false, false, false]);
});
