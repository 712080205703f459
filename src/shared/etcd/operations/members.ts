/**
 * The members of an etcd cluster.
 *
 * Calls are tried once and reject with a typed error (errors.ts). With authentication enabled they require the role `root`, except
 * `list` in some releases. Changes require a leader, and are refused with MembershipRefusedError or NoLeaderError while etcd
 * considers them unsafe: such a call may succeed later.
 */
import type { Transport } from '../connection/transport.ts';
import type { CallOptions, Member, MemberId } from '../types.ts';
import { decodeHeader } from '../wire/codec.ts';
import {
  type AddedMember,
  decodeAddedMember,
  decodeMembers,
  encodeMemberAdd,
  encodeMemberId,
  encodeMemberList,
} from '../wire/member-messages.ts';
import { method } from '../wire/methods.ts';

export interface EtcdMembers {
  /** All members, in etcd's order. Linearizable, except with etcd 3.4. */
  list(options: CallOptions): Promise<readonly Member[]>;
  /** A learner: it gets all data and has no vote, so the quorum stays as it is. */
  addLearner(peerUrl: string, options: CallOptions): Promise<AddedMember>;
  /** Gives a learner a vote. MembershipRefusedError where it is not up to date yet, or has a vote already. */
  promote(id: MemberId, options: CallOptions): Promise<void>;
  /** MemberNotFoundError where there is no such member. */
  remove(id: MemberId, options: CallOptions): Promise<void>;
}

/** The calls over the connection of a client. */
export function membersOver(transport: Transport): EtcdMembers {
  const ask = async (name: string, request: Buffer, options: CallOptions): Promise<Buffer> => {
    const { answer } = await transport.call({
      method: method('Cluster', name),
      request,
      decode: (bytes) => ({ header: decodeHeader(bytes), answer: bytes }),
      subject: { action: name, kind: name === 'MemberList' ? 'read' : 'set', key: undefined },
      ...options,
    });
    return answer;
  };
  return {
    list: async (options) => decodeMembers(await ask('MemberList', encodeMemberList(), options)),
    addLearner: async (peerUrl, options) => decodeAddedMember(await ask('MemberAdd', encodeMemberAdd(peerUrl, true), options)),
    promote: async (id, options) => void (await ask('MemberPromote', encodeMemberId(id), options)),
    remove: async (id, options) => void (await ask('MemberRemove', encodeMemberId(id), options)),
  };
}
