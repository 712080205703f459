import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ClosedError,
  CompactedError,
  ConditionFailedError,
  EtcdConfigError,
  FutureRevisionError,
  LeaseNotFoundError,
  NoSpaceError,
  ReadOnlyError,
  RequestTooLargeError,
  TooManyOperationsError,
  UnavailableError,
  UnexpectedStatusError,
} from '../../../src/shared/etcd/errors.ts';
import { RequestLimiter } from '../../../src/shared/etcd/operations/request-limiter.ts';
import { type EtcdKey, keyOf, type LeaseId, NO_LEASE, NO_REVISION, type TxnOperation } from '../../../src/shared/etcd/types.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { bytes, connect, listAll, revisionOf, soon } from '../../support/etcd/etcd-client.ts';
import { etcdForTest, proxyForTest, put, putMany, record, remove, seen } from '../../support/etcd/etcd-fixture.ts';
import { compactEtcd, makeRoom } from '../../support/etcd/etcd-gateway.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { recordingLogger } from '../../support/recording-logger.ts';
import { until } from '../../support/until.ts';

const putOf = (key: string, value: Uint8Array = bytes('')): TxnOperation => ({
  type: 'put',
  key: keyOf(key),
  value,
  lease: NO_LEASE,
});

test('an etcd to test with was found', () => {
  expect(etcdVersions(), 'set ETCD_BIN or put etcd into the PATH').not.toEqual([]);
});

describe.each(etcdVersions())('with etcd $version', ({ version }) => {
  let etcd: EtcdProcess;
  beforeAll(async () => {
    etcd = await startEtcd({ version, args: ['--max-request-bytes=100000', '--max-txn-ops=100'] });
  });
  afterAll(() => etcd.stop());

  test('what was put is got, with its revision and lease, and what was not is undefined', async () => {
    const client = connect(etcd.endpoint);
    const lease = await client.grantLease(60, soon());
    const revision = await client.txn([{ type: 'put', key: keyOf('get/a'), value: bytes('v'), lease }], soon());
    expect(await client.get(keyOf('get/a'), soon())).toEqual({
      key: 'get/a',
      value: bytes('v'),
      createRevision: revision,
      modRevision: revision,
      lease,
    });
    expect(await client.get(keyOf('get/'), soon())).toBeUndefined();
  });

  test('keys and values travel byte for byte', async () => {
    const client = connect(etcd.endpoint);
    const names = ['\0', '\xff\xfe', '\xc3\x28', 'ü', '', 'a\n"', '\xff'.repeat(500)].map((name) => `bytes/${name}` as EtcdKey);
    const values = [Buffer.alloc(0), Buffer.from([0]), Buffer.from([0xff, 0xc3, 0x28, 0]), Buffer.alloc(70_000, 0xfe)];
    const operations = names.map(
      (key, at) => ({ type: 'put', key, value: values[at % values.length] ?? Buffer.alloc(0), lease: NO_LEASE }) as const,
    );
    const from = await client.txn(operations, soon());
    const written = operations.map(({ key, value }) => [key, value] as const);
    const sorted = written.toSorted(([a], [b]) => (a < b ? -1 : 1));
    expect((await listAll(client, 'bytes/')).map(({ key, value }) => [key, value])).toEqual(sorted);
    const watch = record(client, 'bytes/', from);
    const events = await seen(watch, operations.length);
    expect(events.map((event) => [event.key, event.type === 'put' ? event.value : 'deleted'])).toEqual(written);
  });

  test('the operations of a transaction have one revision', async () => {
    const client = connect(etcd.endpoint);
    await put(client, 'txn/gone');
    await put(client, 'txn/range/1');
    await put(client, 'txn/range/2');
    const revision = await client.txn(
      [
        putOf('txn/a'),
        putOf('txn/b'),
        { type: 'delete', key: keyOf('txn/gone') },
        { type: 'delete', key: keyOf('txn/range/'), end: keyOf('txn/range0') },
      ],
      soon(),
    );
    expect((await listAll(client, 'txn/')).map(({ key, modRevision }) => [key, modRevision])).toEqual([
      ['txn/a', revision],
      ['txn/b', revision],
    ]);
  });

  test('a key is put only where it is absent', async () => {
    const client = connect(etcd.endpoint);
    expect(await client.putIfAbsent(keyOf('absent/a'), bytes('first'), NO_LEASE, soon())).toBe(true);
    expect(await client.putIfAbsent(keyOf('absent/a'), bytes('second'), NO_LEASE, soon())).toBe(false);
    expect((await client.get(keyOf('absent/a'), soon()))?.value).toEqual(bytes('first'));
  });

  test('a transaction is carried out only if its conditions hold, and else nothing of it is', async () => {
    const client = connect(etcd.endpoint);
    const put = (key: string) => ({ type: 'put', key: keyOf(`if/${key}`), value: bytes(''), lease: NO_LEASE }) as const;
    const only = (key: string, exists: boolean) => ({ key: keyOf(`if/${key}`), exists });
    await client.txn([put('a')], { ...soon(), onlyIf: [only('a', false)] });
    await client.txn([put('b')], { ...soon(), onlyIf: [only('a', true), only('b', false)] });
    for (const onlyIf of [[only('a', false)], [only('x', true)], [only('a', true), only('b', false)]]) {
      await expect(client.txn([put('a'), put('c')], { ...soon(), onlyIf })).rejects.toThrow(ConditionFailedError);
    }
    expect((await listAll(client, 'if/')).map(({ key }) => key)).toEqual(['if/a', 'if/b']);

    const [key, absent] = [keyOf('if/a'), keyOf('if/c')];
    const first = (await client.get(key, soon()))?.modRevision ?? NO_REVISION;
    const second = await client.txn([put('a')], { ...soon(), onlyIf: [{ key, modRevision: first }] });
    for (const onlyIf of [[{ key, modRevision: first }], [{ key: absent, modRevision: first }]]) {
      await expect(client.txn([put('c')], { ...soon(), onlyIf })).rejects.toThrow(ConditionFailedError);
    }
    await client.txn([put('c')], { ...soon(), onlyIf: [{ key, modRevision: second }] });
    expect(await client.get(key, soon())).toMatchObject({ createRevision: first, modRevision: second });
  });

  test('leases are granted, listed and revoked, and a missing one is undefined', async () => {
    const client = connect(etcd.endpoint);
    const lease = await client.grantLease(600, soon());
    expect(await client.leaseTimeToLive(lease, soon())).toMatchObject({ grantedTtl: 600 });
    await client.revokeLease(lease, soon());
    await client.revokeLease(lease, soon());
    expect(await client.leaseTimeToLive(lease, soon())).toBeUndefined();
    await expect(client.txn([{ type: 'put', key: keyOf('lease/a'), value: bytes(''), lease }], soon())).rejects.toThrow(
      LeaseNotFoundError,
    );
    await expect(client.putIfAbsent(keyOf('lease/a'), bytes(''), 4711n as LeaseId, soon())).rejects.toThrow(LeaseNotFoundError);
  });

  test('fault 24: a transaction that is too large in operations or in bytes is refused by name', async () => {
    const client = connect(etcd.endpoint);
    const many = Array.from({ length: 101 }, (_, at) => putOf(`large/${at}`));
    await expect(client.txn(many, soon())).rejects.toThrow(TooManyOperationsError);
    await expect(client.txn([putOf('large/a', Buffer.alloc(100_001))], soon())).rejects.toThrow(RequestTooLargeError);
    // Above this much gRPC itself refuses, before etcd sees the request.
    await expect(client.txn([putOf('large/a', Buffer.alloc(3_000_000))], soon())).rejects.toThrow(RequestTooLargeError);
    await expect(client.txn([putOf('large/a'), putOf('large/a')], soon())).rejects.toThrow(UnexpectedStatusError);
    expect(await listAll(client, 'large/')).toEqual([]);
  });

  test('fault 22: a full database is reported by name, and works again once the alarm is disarmed', async () => {
    const full = await etcdForTest({ version, args: ['--quota-backend-bytes=1000000'] });
    const client = connect(full.endpoint);
    const fill = async () => {
      for (;;) await client.txn([putOf('space/a', Buffer.alloc(200_000, Math.random() * 256))], soon());
    };
    await expect(fill()).rejects.toThrow(NoSpaceError);
    expect(await client.get(keyOf('space/a'), soon())).toBeDefined();
    expect(client.state.connected).toBe(true);
    await makeRoom(full.endpoint, await remove(client, 'space/a').catch(() => revisionOf(client)));
    await put(client, 'space/b');
  });

  test('the state reports the connection, and each change once', async () => {
    const own = await etcdForTest({ version });
    const { log, lines } = recordingLogger();
    const changes: boolean[] = [];
    const client = connect(own.endpoint, { log, onStateChange: ({ connected }) => changes.push(connected) });
    expect(client.state).toEqual({ connected: false, clusterId: undefined, lastContactMs: undefined, lastError: undefined });
    await put(client, 'a');
    await put(client, 'b');
    expect(client.state).toMatchObject({
      connected: true,
      clusterId: expect.stringMatching(/^[0-9a-f]{8,16}$/),
      lastError: undefined,
    });
    expect(client.state.lastContactMs).toBeGreaterThan(0);
    await own.kill();
    for (let attempt = 0; attempt < 3; attempt += 1) await expect(put(client, 'c')).rejects.toThrow(UnavailableError);
    expect(client.state).toMatchObject({ connected: false, lastError: expect.any(UnavailableError) });
    await own.restart();
    await until('the client has found the etcd again', () => put(client, 'd'), { withinMs: 45_000 });
    expect(changes).toEqual([true, false, true]);
    expect(lines.map(({ msg }) => msg)).toEqual(['etcd connected', 'etcd connection lost', 'etcd connected']);
  });

  test('a list is of one revision, however many writes there are between its pages', async () => {
    const client = connect(etcd.endpoint);
    const keys = await putMany(client, 'list/one/', 250, 100);
    const revision = await revisionOf(client);
    const listed: string[] = [];
    let pages = 0;
    for await (const page of client.list(keyOf('list/one/'), { ...soon(), pageSize: 40 })) {
      expect(page.revision).toBe(revision);
      listed.push(...page.keyValues.map(({ key }) => key));
      await put(client, `list/one/0000${pages}x`);
      await remove(client, keys.at(-1 - pages) ?? '');
      pages += 1;
    }
    expect(listed).toEqual(keys);
    expect(pages).toBe(7);
  });

  test('fault 3: a list whose revision is compacted between two pages ends with an error', async () => {
    const client = connect(etcd.endpoint);
    await putMany(client, 'list/gone/', 30, 10);
    let pages = 0;
    const list = async () => {
      for await (const { revision } of client.list(keyOf('list/gone/'), { ...soon(), pageSize: 10 })) {
        pages += 1;
        await put(client, 'list/elsewhere');
        await compactEtcd(etcd.endpoint, (await put(client, 'list/elsewhere')) || revision);
      }
    };
    await expect(list()).rejects.toThrow(CompactedError);
    expect(pages).toBe(1);
  });

  test('a list comes whole where no page size is wanted, in parts that leave the event loop its turns', async () => {
    const client = connect(etcd.endpoint, { pageSize: 0 });
    await putMany(client, 'list/whole/', 2500, 100);
    const sizes: number[] = [];
    for await (const page of client.list(keyOf('list/whole/'), soon())) sizes.push(page.keyValues.length);
    expect(sizes).toEqual([1000, 1000, 500]);
  });

  test('a list gives keys alone, or keys that changed since a revision, or one empty page', async () => {
    const client = connect(etcd.endpoint);
    await putMany(client, 'list/some/', 20, 20);
    const revision = await put(client, 'list/some/00007', 'new');
    const pages = [];
    for await (const page of client.list(keyOf('list/some/'), { ...soon(), keysOnly: true })) pages.push(...page.keyValues);
    expect(pages.map(({ value }) => value.length)).toEqual(Array(20).fill(0));
    const changed = [];
    for await (const page of client.list(keyOf('list/some/'), { ...soon(), minModRevision: revision, pageSize: 3 }))
      changed.push(...page.keyValues);
    expect(changed.map(({ key, value }) => [key, value.toString()])).toEqual([['list/some/00007', 'new']]);
    const empty = [];
    for await (const page of client.list(keyOf('list/none/'), soon())) empty.push(page);
    expect(empty).toEqual([{ keyValues: [], revision: await revisionOf(client), total: 0 }]);
  });

  test('a list may start at a key and end before another one', async () => {
    const client = connect(etcd.endpoint);
    await putMany(client, 'list/part/', 30, 30);
    const [start, end] = [keyOf('list/part/00007'), keyOf('list/part/00021')];
    const keys = [];
    for await (const page of client.list(keyOf('list/part/'), { ...soon(), start, end, pageSize: 5 }))
      keys.push(...page.keyValues.map(({ key }) => key));
    expect(keys).toHaveLength(14);
    expect([keys[0], keys.at(-1)]).toEqual([start, 'list/part/00020']);
  });

  test('the whole store is listed and watched by the empty prefix', async () => {
    const own = await etcdForTest({ version });
    const client = connect(own.endpoint);
    const from = await client.txn(
      [putOf('\0\0'), putOf('x'), { type: 'put', key: '\xff\xff' as EtcdKey, value: bytes(''), lease: NO_LEASE }],
      soon(),
    );
    expect((await listAll(client, '')).map(({ key }) => key)).toEqual(['\0\0', 'x', '\xff\xff']);
    expect((await seen(record(client, '', from), 3)).map(({ key }) => key)).toEqual(['\0\0', 'x', '\xff\xff']);
  });
});

describe('on its own', () => {
  test('endpoints that are none are refused at once', () => {
    const options = { name: 'x', clock: systemClock, log: recordingLogger().log };
    for (const endpoints of [[], [''], ['foo'], ['ftp://a:1']])
      expect(() => connect(endpoints, options)).toThrow(EtcdConfigError);
  });

  test('a client that only reads refuses to write before anything is sent', async () => {
    const client = connect('http://127.0.0.1:1', { readOnly: true });
    await expect(put(client, 'a')).rejects.toThrow(ReadOnlyError);
    await expect(client.putIfAbsent(keyOf('a'), bytes(''), NO_LEASE, soon())).rejects.toThrow(ReadOnlyError);
    await expect(client.grantLease(5, soon())).rejects.toThrow(ReadOnlyError);
    await expect(client.revokeLease(5n as LeaseId, soon())).rejects.toThrow(ReadOnlyError);
    expect(() => client.keepLease(5n as LeaseId, 5, () => undefined)).toThrow(ReadOnlyError);
  });

  test('an aborted call rejects with the reason of its signal, before and while it is under way', async () => {
    const etcd = await etcdForTest();
    const proxy = await proxyForTest(etcd.port);
    const client = connect(proxy.endpoint);
    await put(client, 'a');
    const reason = new Error('not needed any more');
    await expect(client.get(keyOf('a'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    proxy.blackHole();
    const abort = new AbortController();
    const pending = client.get(keyOf('a'), { signal: abort.signal });
    abort.abort(reason);
    await expect(pending).rejects.toBe(reason);
    expect(client.state.connected).toBe(true);
  });

  test('closing ends calls, lists, watches and kept leases, and leaves no connection, timer or listener behind', async () => {
    const etcd = await etcdForTest();
    const proxy = await proxyForTest(etcd.port);
    const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const client = connect(proxy.endpoint, { limiter: new RequestLimiter({ qps: 100_000 }, systemClock) });
    const lease = await client.grantLease(60, soon());
    client.keepLease(lease, 60, () => expect.fail('a lease is not lost by closing'));
    const watches = [record(client, 'a/', 1), record(client, 'b/', 1)];
    await put(client, 'a/1');
    await seen(watches[0] ?? expect.fail(), 1);
    proxy.blackHole();
    const signal = new AbortController().signal;
    const pending = client.get(keyOf('a/1'), { signal });
    const listing = client.list(keyOf('a/'), { signal })[Symbol.asyncIterator]().next();
    client.close();
    client.close();
    await expect(pending).rejects.toThrow(ClosedError);
    await expect(listing).rejects.toThrow(ClosedError);
    await expect(client.get(keyOf('a/1'), { signal })).rejects.toThrow(ClosedError);
    await until('the watches have ended', () => watches.every(({ hasEnded }) => hasEnded()));
    await proxy.heal();
    await until('the connection is closed', () => proxy.connections === 0);
    await until('no timer is left', () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length <= before);
  });

  test('a revision that the store has not reached is reported by name', async () => {
    const etcd = await etcdForTest();
    const proxy = await proxyForTest(etcd.port);
    const client = connect(proxy.endpoint);
    await putMany(client, 'k/', 30, 10);
    const list = async () => {
      for await (const _ of client.list(keyOf('k/'), { ...soon(), pageSize: 10 })) {
        await etcd.restart({ wipe: true });
        await until('the new store answers', () => client.get(keyOf('k/'), soon()).then(() => true), { withinMs: 45_000 });
      }
    };
    await expect(list()).rejects.toThrow(FutureRevisionError);
  });

  test('every call is reported with its outcome', async () => {
    const etcd = await etcdForTest();
    const calls: string[] = [];
    const client = connect(etcd.endpoint, {
      observer: {
        begin:
          ({ action, kind, key }) =>
          (outcome) => {
            expect(outcome?.seconds).toBeGreaterThanOrEqual(0);
            calls.push(`${action} ${kind} ${key} ${outcome?.code}`);
          },
        events: () => undefined,
        droppedEvents: () => undefined,
        certificates: () => undefined,
      },
    });
    await put(client, 'a');
    await client.get(keyOf('a'), soon());
    await client.txn([{ type: 'put', key: keyOf('a'), value: bytes(''), lease: 7n as LeaseId }], soon()).catch(() => undefined);
    expect(calls).toEqual(['Update set a OK', 'Get read a OK', 'Update set a ETCD_LEASE_NOT_FOUND']);
  });

  test('requests wait for the limiter', async () => {
    const etcd = await etcdForTest();
    const limiter = new RequestLimiter({ maxInFlight: 1 }, systemClock);
    const client = connect(etcd.endpoint, { limiter });
    const release = await limiter.acquire(soon().signal);
    const waiting = put(client, 'a');
    expect(limiter.waiting).toBe(1);
    release();
    await waiting;
    expect(limiter.waiting).toBe(0);
  });
});
