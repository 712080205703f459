/** The state of a member as protobufjs writes it by etcd's own definition, and as every release of etcd answers. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EtcdError } from '../../../src/shared/etcd/errors.ts';
import { decodeAlarms, decodeStatus } from '../../../src/shared/etcd/wire/maintenance-messages.ts';
import { connect, soon } from '../../support/etcd/etcd-client.ts';
import { etcdForTest } from '../../support/etcd/etcd-fixture.ts';
import { otherMessage } from '../../support/etcd/etcd-messages.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';

const header = { clusterId: 7n, memberId: 1n, revision: 5n, raftTerm: 2n };

test('the status of a member', () => {
  const size = fc.nat().map(BigInt);
  fc.assert(
    fc.property(
      size,
      size,
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.boolean(),
      (dbSize, dbSizeInUse, leader, isLearner) => {
        const answer = {
          header,
          version: '3.5.1',
          dbSize,
          leader,
          raftIndex: 9n,
          raftTerm: 2n,
          errors: ['x'],
          dbSizeInUse,
          isLearner,
        };
        expect(decodeStatus(otherMessage('StatusResponse').encode(answer))).toEqual({
          version: '3.5.1',
          dbSize: Number(dbSize),
          dbSizeInUse: Number(dbSizeInUse),
          dbSizeQuota: 0,
          leader,
          isLearner,
        });
      },
    ),
  );
});

test('alarms', () => {
  const alarms = [
    { memberID: 3n, alarm: 1 },
    { memberID: 4n, alarm: 2 },
  ];
  expect(decodeAlarms(otherMessage('AlarmResponse').encode({ header, alarms }))).toEqual([
    { member: 3n, kind: 'NOSPACE' },
    { member: 4n, kind: 'CORRUPT' },
  ]);
  const many = Array.from({ length: 100 }, () => ({ memberID: 3n, alarm: 1 }));
  expect(() => decodeAlarms(otherMessage('AlarmResponse').encode({ header, alarms: many }))).toThrow('alarms');
});

test('bytes that are no message are refused or ignored', () => {
  fc.assert(
    fc.property(fc.constantFrom(decodeStatus, decodeAlarms), fc.uint8Array({ maxLength: 200 }), (decode, garbage) => {
      try {
        decode(Buffer.from(garbage));
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(EtcdError);
      }
    }),
  );
});

describe.each(etcdVersions())('etcd $version', ({ version, minor }) => {
  test('answers its state, and large requests with large answers', async () => {
    const etcd = await etcdForTest({ version, args: ['--quota-backend-bytes=33554432'] });
    const { maintenance } = connect(etcd.endpoint, { readOnly: true });
    const status = await maintenance.status(soon());
    expect(status).toMatchObject({ version, isLearner: false, dbSizeQuota: Number(minor) >= 3.6 ? 33_554_432 : 0 });
    expect(status.dbSize).toBeGreaterThanOrEqual(status.dbSizeInUse);
    expect(status.leader).not.toBe(0n);
    expect(await maintenance.alarms(soon())).toEqual([]);
    await maintenance.exchangePadded(12 * 1024, soon());
  });
});
