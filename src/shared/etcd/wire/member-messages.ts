/** The messages of etcd's Cluster service: field numbers are those of rpc.proto, and a test holds them against it. */
import { MAX_ETCD_MEMBERS, MAX_ETCD_TEXT_LENGTH, MAX_SMALL_ANSWER_BYTES } from '../../limits.ts';
import { ProtobufWriter } from '../../protobuf.ts';
import { MalformedResponseError } from '../errors.ts';
import type { Member, MemberId } from '../types.ts';
import { WireReader } from './reader.ts';

/** More than an answer needs within its size. */
const MAX_FIELDS = MAX_SMALL_ANSWER_BYTES;

const LINEARIZABLE = new ProtobufWriter().boolean(1, true).finish();

/** MemberListRequest with the knowledge of the quorum; etcd 3.4 does not know the field. */
export function encodeMemberList(): Buffer {
  return LINEARIZABLE;
}

/** MemberAddRequest. */
export function encodeMemberAdd(peerUrl: string, isLearner: boolean): Buffer {
  return new ProtobufWriter().text(1, peerUrl).boolean(2, isLearner).finish();
}

/** MemberRemoveRequest and MemberPromoteRequest. */
export function encodeMemberId(id: MemberId): Buffer {
  return new ProtobufWriter().integer64(1, id).finish();
}

/** The members of MemberListResponse, MemberRemoveResponse and MemberPromoteResponse. */
export function decodeMembers(message: Buffer): readonly Member[] {
  return membersOf(message, 2);
}

export interface AddedMember {
  readonly added: Member;
  /** All members after the change. */
  readonly members: readonly Member[];
}

/** MemberAddResponse. */
export function decodeAddedMember(message: Buffer): AddedMember {
  const [added] = membersOf(message, 2);
  if (added === undefined) throw new MalformedResponseError('no added member');
  return { added, members: membersOf(message, 3) };
}

function membersOf(message: Buffer, field: number): readonly Member[] {
  const reader = new WireReader(message, 0, message.length, MAX_FIELDS);
  const members: Member[] = [];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag !== field * 8 + 2) reader.skip(tag);
    else if (members.length === MAX_ETCD_MEMBERS) throw new MalformedResponseError(`more than ${MAX_ETCD_MEMBERS} members`);
    else members.push(memberOf(reader.bytes()));
  }
  return members;
}

function memberOf(message: Buffer): Member {
  const reader = new WireReader(message, 0, message.length, MAX_FIELDS);
  const peerUrls: string[] = [];
  let [id, name, isLearner] = [0n as MemberId, '', false];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x08) id = reader.uint64() as MemberId;
    else if (tag === 0x12) name = reader.text(MAX_ETCD_TEXT_LENGTH);
    else if (tag === 0x1a) peerUrls.push(reader.text(MAX_ETCD_TEXT_LENGTH));
    else if (tag === 0x28) isLearner = reader.bool();
    else reader.skip(tag);
  }
  return { id, name, peerUrls, isLearner };
}
