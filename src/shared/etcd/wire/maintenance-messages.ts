/** The messages of etcd's Maintenance service that are read: field numbers are those of rpc.proto, and a test holds them against it. */
import { MAX_ETCD_MEMBERS, MAX_ETCD_TEXT_LENGTH, MAX_SMALL_ANSWER_BYTES } from '../../limits.ts';
import { MalformedResponseError } from '../errors.ts';
import type { MemberId } from '../types.ts';
import { WireReader } from './reader.ts';

/** More than an answer needs within its size. */
const MAX_FIELDS = MAX_SMALL_ANSWER_BYTES;

/** Of the member that answers. */
export interface MemberStatus {
  /** `3.5.21` */
  readonly version: string;
  /** Bytes of the database file. */
  readonly dbSize: number;
  /** Bytes of it in use: the rest is free for later writes, but counts against the quota. */
  readonly dbSizeInUse: number;
  /** 0 in answers of etcd below 3.6. */
  readonly dbSizeQuota: number;
  /** 0 if the member knows no leader. */
  readonly leader: MemberId;
  readonly isLearner: boolean;
}

/** StatusResponse. */
export function decodeStatus(message: Buffer): MemberStatus {
  const reader = new WireReader(message, 0, message.length, MAX_FIELDS);
  let [version, dbSize, dbSizeInUse, dbSizeQuota, leader, isLearner] = ['', 0, 0, 0, 0n as MemberId, false];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x12) version = reader.text(MAX_ETCD_TEXT_LENGTH);
    else if (tag === 0x18) dbSize = reader.revision();
    else if (tag === 0x20) leader = reader.uint64() as MemberId;
    else if (tag === 0x48) dbSizeInUse = reader.revision();
    else if (tag === 0x50) isLearner = reader.bool();
    else if (tag === 0x60) dbSizeQuota = reader.revision();
    else reader.skip(tag);
  }
  return { version, dbSize, dbSizeInUse, dbSizeQuota, leader, isLearner };
}

/** As etcd numbers them; an alarm of a later release is `other`. */
const ALARMS = ['none', 'NOSPACE', 'CORRUPT'] as const;
export type AlarmKind = (typeof ALARMS)[number] | 'other';

export interface Alarm {
  readonly member: MemberId;
  readonly kind: AlarmKind;
}

/** The alarms of AlarmResponse. */
export function decodeAlarms(message: Buffer): readonly Alarm[] {
  const reader = new WireReader(message, 0, message.length, MAX_FIELDS);
  const alarms: Alarm[] = [];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag !== 0x12) reader.skip(tag);
    else if (alarms.length === MAX_ETCD_MEMBERS * ALARMS.length) throw new MalformedResponseError('too many alarms');
    else alarms.push(alarmOf(reader.bytes()));
  }
  return alarms;
}

function alarmOf(message: Buffer): Alarm {
  const reader = new WireReader(message, 0, message.length, MAX_FIELDS);
  let [member, kind] = [0n as MemberId, 0];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x08) member = reader.uint64() as MemberId;
    else if (tag === 0x10) kind = reader.uint32();
    else reader.skip(tag);
  }
  return { member, kind: ALARMS[kind] ?? 'other' };
}
