/** An etcd with scripted responses to ranges and watches, which real ones do not send, or not always. */
import { status } from '@grpc/grpc-js';
import { onTestFinished } from 'vitest';
import {
  RangeRequest,
  type RangeRequestMessage,
  RangeResponse,
  type RangeResponseMessage,
  WatchResponse,
  type WatchResponseMessage,
} from '../../support/etcd/etcd-messages.ts';
import { scriptedEtcd, type WatchCreateRequest, watchResponse } from '../../support/etcd/scripted-etcd.ts';

export const header = (revision: number, clusterId = 7n) => ({
  clusterId,
  memberId: 1n,
  revision: BigInt(revision),
  raftTerm: 1n,
});
export const answer = (revision: number, rest: Partial<WatchResponseMessage> = {}): WatchResponseMessage =>
  watchResponse(header(revision), rest);
export const eventsAt = (...revisions: number[]) =>
  revisions.map((revision) => ({
    type: 0 as const,
    kv: {
      key: Buffer.from(`k/${revision}`),
      value: Buffer.from('v'),
      modRevision: BigInt(revision),
      createRevision: 1n,
      version: 1n,
      lease: 0n,
    },
  }));

export interface FaultyWatch {
  readonly request: WatchCreateRequest;
  send(message: WatchResponseMessage): void;
  sendBytes(message: Buffer): void;
  /** Ends the stream with UNAVAILABLE. */
  drop(): void;
}

export interface Faults {
  /** Called for each watch; `created` is answered before. */
  watch?(watch: FaultyWatch, nth: number): void;
  range?(request: RangeRequestMessage): RangeResponseMessage;
  /** Sent instead of `created`. */
  created?: WatchResponseMessage;
}

export interface FaultyEtcd {
  readonly endpoint: string;
  readonly port: number;
  readonly watches: WatchCreateRequest[];
}

export async function faultyEtcd(faults: Faults): Promise<FaultyEtcd> {
  const watches: WatchCreateRequest[] = [];
  const { endpoint, port, stop } = await scriptedEtcd({
    range: (request, done) => {
      const nothing = { header: header(1000), kvs: [], more: false, count: 0n };
      done(null, RangeResponse.encode(faults.range?.(RangeRequest.decode(request)) ?? nothing));
    },
    watch: (call, request) => {
      watches.push(request);
      const sendBytes = (message: Buffer) => void call.write(message);
      const send = (response: WatchResponseMessage) => sendBytes(WatchResponse.encode(response));
      send(faults.created ?? answer(1000, { created: true }));
      const drop = () => void call.emit('error', { code: status.UNAVAILABLE, details: 'dropped by the test' });
      faults.watch?.({ request, send, sendBytes, drop }, watches.length);
    },
  });
  onTestFinished(stop);
  return { endpoint, port, watches };
}
