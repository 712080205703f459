/** An etcd that serves ranges and watches alone, as the caller answers them: in bytes, so that an answer may be none. */
import { Server, ServerCredentials, type ServerDuplexStream, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { RANGE, WATCH } from '../../../src/shared/etcd/wire/methods.ts';
import { type Header, WatchRequest, type WatchRequestMessage, type WatchResponseMessage } from './etcd-messages.ts';

export type WatchCreateRequest = NonNullable<WatchRequestMessage['createRequest']>;
export type WatchCall = ServerDuplexStream<Buffer, Buffer>;
export type RangeDone = sendUnaryData<Buffer>;

export interface Script {
  range(request: Buffer, done: RangeDone): void;
  /** Called for each watch that is to be created on `call`. */
  watch(call: WatchCall, request: WatchCreateRequest): void;
  /** Called for each watch that is to be ended. */
  cancel?(call: WatchCall, watchId: number): void;
}

export interface ScriptedEtcd {
  readonly port: number;
  readonly endpoint: string;
  stop(): void;
}

export async function scriptedEtcd(script: Script): Promise<ScriptedEtcd> {
  const server = new Server({ 'grpc.max_send_message_length': -1 });
  const same = (bytes: Buffer): Buffer => bytes;
  const raw = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
  server.addService(
    {
      range: { path: RANGE.path, requestStream: false, responseStream: false, ...raw },
      watch: { path: WATCH.path, requestStream: true, responseStream: true, ...raw },
    },
    {
      range: (call: ServerUnaryCall<Buffer, Buffer>, done: RangeDone) => script.range(call.request, done),
      watch: (call: WatchCall) => {
        call.on('error', () => undefined);
        call.on('data', (message: Buffer) => {
          const { createRequest, cancelRequest } = WatchRequest.decode(message);
          if (createRequest !== undefined) script.watch(call, createRequest);
          if (cancelRequest !== undefined) script.cancel?.(call, Number(cancelRequest.watchId));
        });
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, endpoint: `http://127.0.0.1:${port}`, stop: () => server.forceShutdown() };
}

/** A response of a watch with nothing in it but `rest`. */
export function watchResponse(header: Header, rest: Partial<WatchResponseMessage>): WatchResponseMessage {
  const nothing = { created: false, canceled: false, compactRevision: 0n, cancelReason: '', fragment: false, events: [] };
  return { header, watchId: 0n, ...nothing, ...rest };
}
