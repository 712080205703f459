/** A watch over a transport that answers with the messages of an input, each behind a byte with its length divided by 4. */
import assert from 'node:assert/strict';
import { asError, ProgramError } from '../../src/shared/errors.ts';
import type { Transport } from '../../src/shared/etcd/connection/transport.ts';
import { watchPrefix } from '../../src/shared/etcd/operations/watch.ts';
import { WatchStreams } from '../../src/shared/etcd/operations/watch-streams.ts';
import { keyOf, type Revision } from '../../src/shared/etcd/types.ts';
import { ClusterPin } from '../../src/shared/etcd/wire/cluster-pin.ts';
import type { ResponseHeader } from '../../src/shared/etcd/wire/codec.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { WatchResponse } from '../support/etcd/etcd-messages.ts';

const PREFIX = keyOf('k/');
const FROM = 10;

const HEADER = { clusterId: 7n, memberId: 1n, revision: 50n, raftTerm: 1n };
const CREATED = WatchResponse.encode({
  header: HEADER,
  watchId: 0n,
  created: true,
  canceled: false,
  compactRevision: 0n,
  cancelReason: '',
  fragment: false,
  events: [],
});

/** Resolves with the number of events delivered. Fails where the watch delivers what was not asked for, goes back, or throws. */
export async function watched(input: Buffer): Promise<number> {
  const end = new AbortController();
  const messages = [CREATED, ...messagesOf(input)][Symbol.iterator]();
  const transport = transportOf(messages, end);
  const streams = new WatchStreams({ transport, clock: systemClock });
  const parts = { transport, streams, clock: systemClock, log: silentLogger, observer: undefined };
  let last = FROM;
  let delivered = 0;
  try {
    for await (const batch of watchPrefix(parts, PREFIX, { signal: end.signal, from: FROM as Revision })) {
      if (batch.kind !== 'events') continue;
      for (const { key, modRevision } of batch.events) {
        assert.ok(key.startsWith(PREFIX));
        assert.ok(modRevision >= last);
        last = modRevision;
        delivered += 1;
      }
    }
  } catch (thrown) {
    // A consumer that has stopped receives nothing else.
    if (thrown !== end.signal.reason) throw thrown;
  }
  return delivered;
}

function messagesOf(input: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < input.length; ) {
    const length = (input[at] as number) * 4;
    messages.push(input.subarray(at + 1, at + 1 + length));
    at += 1 + length;
  }
  return messages;
}

/** The parts that a watch needs. The watch is stopped when it is out of messages, or would retry. */
function transportOf(messages: Iterator<Buffer>, end: AbortController): Transport {
  const giveUp = (): undefined => {
    end.abort(new Error('the input is at its end'));
    return undefined;
  };
  const transport = {
    isClosed: false,
    maxMessageBytes: 64 * 1024,
    pin: new ClusterPin(),
    ready: async () => undefined,
    streamRefused: () => undefined,
    open: () => ({
      stream: {
        send: () => undefined,
        settle: () => undefined,
        next: async () => messages.next().value as Buffer | undefined,
      },
      link: {},
      isClosed: () => false,
      close: () => undefined,
    }),
    isCurrent: () => true,
    call: async () => ({ header: { clusterId: HEADER.clusterId, revision: 50 } }),
    contact: (pin: ClusterPin, { clusterId }: ResponseHeader) => pin.check(clusterId),
    streamError: asError,
    failed: (_: unknown, error: Error) => assert.ok(error instanceof ProgramError),
    pause: async () => giveUp(),
  };
  return transport as unknown as Transport;
}
