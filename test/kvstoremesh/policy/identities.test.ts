/** Identities beyond what is held in memory, and the order of their removal. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { MAX_HELD_IDENTITIES } from '../../../src/kvstoremesh/import-policy/limits.ts';
import { FakeSession } from './fake-session.ts';
import { imported, KINDS, type RuleText } from './model.ts';

const RULE: RuleText = { podCIDRs: ['10.8.0.0/16'] };
const FIRST = 458_752;
const entry = (IP: string, ID: number) => JSON.stringify({ IP, ID });

/** A remote with more identities than are held, of which two endpoints use the last ones. */
function largeSession(): FakeSession {
  const session = new FakeSession();
  for (let i = 0; i < MAX_HELD_IDENTITIES + 500; i += 1) session.put('identities', String(FIRST + i), `k8s:app=${i};`);
  const last = FIRST + MAX_HELD_IDENTITIES + 499;
  session.put('endpoints', '10.8.0.1', entry('10.8.0.1', last));
  session.put('endpoints', '10.8.0.2', entry('10.8.0.2', FIRST));
  session.put('endpoints', '10.9.0.1', entry('10.9.0.1', FIRST + 1));
  session.setRule(RULE);
  return session;
}

test('identities that come before their endpoints and are too many to hold are listed again, and removed only then', async () => {
  const session = largeSession();
  session.list('identities');
  session.list('endpoints');
  expect(session.relists).toBe(1);
  await session.settle();
  expect(session.held).toEqual(imported(session.store, RULE));
  expect(Object.keys(session.held.identities)).toHaveLength(2);

  const forgotten = FIRST + MAX_HELD_IDENTITIES + 400;
  session.put('endpoints', '10.8.0.3', entry('10.8.0.3', forgotten));
  expect(session.relists).toBe(2);
  await session.settle();
  expect(session.held).toEqual(imported(session.store, RULE));
  session.stop();
});

test('a relisting that comes after the endpoints holds nothing up', async () => {
  const session = largeSession();
  session.list('endpoints');
  session.list('identities');
  expect(session.relists).toBe(0);
  await session.settle();
  expect(session.held).toEqual(imported(session.store, RULE));
  session.stop();
});

test('an endpoint is written after its identity and removed before it, also when it returns', async () => {
  const session = new FakeSession();
  session.setRule(RULE);
  await session.settle();
  const [identity, endpoint] = ['cilium/cache/identities/v1/berlin/id/458753', 'cilium/cache/ip/v1/berlin/10.8.0.1'];
  session.put('identities', '458753', 'k8s:app=x;');
  for (const _ of ['first', 'again']) {
    session.writes.length = 0;
    session.put('endpoints', '10.8.0.1', entry('10.8.0.1', 458_753));
    // The value of an identity that was removed has to be read again.
    if (session.relists > 0) session.list('identities');
    await turn();
    for (const kind of [...KINDS].reverse()) session.sections[kind].confirm();
    await turn();
    session.sections.endpoints.confirm();
    expect(session.writes).toEqual([identity, endpoint]);

    session.writes.length = 0;
    session.delete('endpoints', '10.8.0.1');
    await session.clock.advance(61_000);
    session.sections.identities.confirm();
    expect(session.writes).toEqual([]);
    session.sections.endpoints.confirm();
    await turn();
    session.sections.identities.confirm();
    expect(session.writes).toEqual([`-${endpoint}`, `-${identity}`]);
  }
  session.stop();
});
