/** An etcd with scripted responses to ranges and watches, which real ones do not send, or not always. */
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { onTestFinished } from 'vitest';
import { RANGE, WATCH } from '../../../src/shared/etcd/wire/methods.ts';
import {
  RangeRequest,
  type RangeRequestMessage,
  RangeResponse,
  type RangeResponseMessage,
  WatchRequest,
  type WatchRequestMessage,
  WatchResponse,
  type WatchResponseMessage,
} from '../../support/etcd/etcd-messages.ts';

type WatchCreateRequest = NonNullable<WatchRequestMessage['createRequest']>;

export const header = (revision: number, clusterId = 7n) => ({
  clusterId,
  memberId: 1n,
  revision: BigInt(revision),
  raftTerm: 1n,
});
export const answer = (revision: number, rest: Partial<WatchResponseMessage> = {}): WatchResponseMessage => ({
  header: header(revision),
  watchId: 0n,
  created: false,
  canceled: false,
  compactRevision: 0n,
  cancelReason: '',
  fragment: false,
  events: [],
  ...rest,
});
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
  const server = new Server({ 'grpc.max_send_message_length': -1 });
  const watches: WatchCreateRequest[] = [];
  const raw = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
  server.addService(
    {
      range: { path: RANGE.path, requestStream: false, responseStream: false, ...raw },
      watch: { path: WATCH.path, requestStream: true, responseStream: true, ...raw },
    },
    {
      range: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
        const nothing = { header: header(1000), kvs: [], more: false, count: 0n };
        done(null, RangeResponse.encode(faults.range?.(RangeRequest.decode(call.request)) ?? nothing));
      },
      watch: (call: ServerDuplexStream<Buffer, Buffer>) => {
        call.on('error', () => undefined);
        call.on('data', (message: Buffer) => {
          const { createRequest } = WatchRequest.decode(message);
          if (createRequest === undefined) return;
          watches.push(createRequest);
          const sendBytes = (message: Buffer) => void call.write(message);
          const send = (response: WatchResponseMessage) => sendBytes(WatchResponse.encode(response));
          send(faults.created ?? answer(1000, { created: true }));
          const drop = () => void call.emit('error', { code: status.UNAVAILABLE, details: 'dropped by the test' });
          faults.watch?.({ request: createRequest, send, sendBytes, drop }, watches.length);
        });
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  onTestFinished(() => server.forceShutdown());
  return { endpoint: `http://127.0.0.1:${port}`, port, watches };
}

const same = (bytes: Buffer): Buffer => bytes;
