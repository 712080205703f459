/** Each message about members as protobufjs reads and writes it by etcd's own definition. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EtcdError } from '../../../src/shared/etcd/errors.ts';
import type { Member, MemberId } from '../../../src/shared/etcd/types.ts';
import {
  decodeAddedMember,
  decodeMembers,
  encodeMemberAdd,
  encodeMemberId,
  encodeMemberList,
} from '../../../src/shared/etcd/wire/member-messages.ts';
import { MAX_ETCD_MEMBERS } from '../../../src/shared/limits.ts';
import { type Fields, otherMessage } from '../../support/etcd/etcd-messages.ts';

const anyId = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((id) => id as MemberId);
const anyText = fc.string({ unit: 'grapheme', maxLength: 40 });
const anyMember: fc.Arbitrary<Member> = fc.record({
  id: anyId,
  name: anyText,
  peerUrls: fc.array(
    anyText.filter((url) => url !== ''),
    { maxLength: 3 },
  ),
  isLearner: fc.boolean(),
});
const header = { clusterId: 7n, memberId: 1n, revision: 5n, raftTerm: 2n };

const decoded = (name: string, bytes: Buffer): Fields => otherMessage(name).decode(bytes);
const written = ({ id, name, peerUrls, isLearner }: Member) => ({
  ID: id,
  name,
  peerURLs: peerUrls,
  clientURLs: ['https://ignored:2379'],
  isLearner,
});

test('requests about members', () => {
  expect(decoded('MemberListRequest', encodeMemberList())).toEqual({ linearizable: true });
  fc.assert(
    fc.property(
      anyText.filter((url) => url !== ''),
      fc.boolean(),
      anyId,
      (url, isLearner, id) => {
        expect(decoded('MemberAddRequest', encodeMemberAdd(url, isLearner))).toEqual({ peerURLs: [url], isLearner });
        for (const name of ['MemberRemoveRequest', 'MemberPromoteRequest'])
          expect(decoded(name, encodeMemberId(id))).toEqual({ ID: id });
      },
    ),
  );
});

test('members, listed and added', () => {
  fc.assert(
    fc.property(fc.array(anyMember, { maxLength: 5 }), anyMember, (members, added) => {
      const list = members.map(written);
      for (const name of ['MemberListResponse', 'MemberRemoveResponse', 'MemberPromoteResponse'])
        expect(decodeMembers(otherMessage(name).encode({ header, members: list }))).toEqual(members);
      const answer = otherMessage('MemberAddResponse').encode({ header, member: written(added), members: list });
      expect(decodeAddedMember(answer)).toEqual({ added, members });
    }),
  );
});

test('an answer without the added member, or with too many members, is malformed', () => {
  expect(() => decodeAddedMember(Buffer.alloc(0))).toThrow('no added member');
  const member = written({ id: 1n as MemberId, name: 'a', peerUrls: [], isLearner: false });
  const members = Array.from({ length: MAX_ETCD_MEMBERS + 1 }, () => member);
  expect(() => decodeMembers(otherMessage('MemberListResponse').encode({ header, members }))).toThrow('members');
});

test('garbage gives a result or a typed error, and nothing else', () => {
  fc.assert(
    fc.property(fc.constantFrom(decodeMembers, decodeAddedMember), fc.uint8Array({ maxLength: 200 }), (decode, garbage) => {
      try {
        decode(Buffer.from(garbage));
      } catch (thrown) {
        if (!(thrown instanceof EtcdError)) throw thrown;
        expect(thrown.code).toBe('ETCD_MALFORMED_RESPONSE');
      }
    }),
    { numRuns: 2000 },
  );
});
