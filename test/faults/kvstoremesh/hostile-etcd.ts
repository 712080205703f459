/**
 * An etcd that answers anything: as an honest one with one key of each kind, and every now and then with one of many
 * kinds of lies. What it does next is drawn from a seed.
 */
import { Metadata, type status } from '@grpc/grpc-js';
import {
  type EventMessage,
  type KeyValueMessage,
  RangeRequest,
  type RangeRequestMessage,
  RangeResponse,
  type RangeResponseMessage,
  WatchResponse,
  type WatchResponseMessage,
} from '../../support/etcd/etcd-messages.ts';
import {
  type RangeDone,
  type ScriptedEtcd,
  scriptedEtcd,
  type WatchCall,
  type WatchCreateRequest,
  watchResponse,
} from '../../support/etcd/scripted-etcd.ts';
import type { Random } from '../../support/mutation.ts';

const CLUSTER_ID = 7n;
const HOSTILE_TEXT = 'auth: etcdserver: \u001b[31m'.repeat(400);

/** One refusal with each of these codes, and one of no meaning. */
const CODES = [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 99];

type Answer = Buffer | { readonly code: number; readonly details: string };

export class HostileEtcd implements AsyncDisposable {
  /** How often each lie was sent. */
  readonly told = new Map<string, number>();
  readonly #store: ReadonlyMap<string, string>;
  readonly #random: Random;
  #server: ScriptedEtcd | undefined;
  #revision = 100;

  constructor(store: Readonly<Record<string, string>>, random: Random) {
    this.#store = new Map(Object.entries(store).sort(([a], [b]) => (a < b ? -1 : 1)));
    this.#random = random;
  }

  /** The names of all lies. */
  get lies(): readonly string[] {
    return [...Object.keys(this.#ranges), ...Object.keys(this.#watches)];
  }

  async start(): Promise<this> {
    this.#server = await scriptedEtcd({
      range: (request, done) => this.#range(request, done),
      watch: (call, request) => this.#watch(call, request),
    });
    return this;
  }

  get endpoint(): string {
    return this.#server?.endpoint ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server?.stop();
  }

  #range(request: Buffer, done: RangeDone): void {
    const asked = RangeRequest.decode(request);
    const lie = this.#random(4) === 0 ? this.#draw(this.#ranges) : undefined;
    const answer: Answer = lie === undefined ? RangeResponse.encode(this.#honest(asked)) : lie(asked);
    if (Buffer.isBuffer(answer)) {
      done(null, answer);
      return;
    }
    const metadata = new Metadata();
    for (let at = 0; at < 20; at += 1) metadata.set(`x-${at}`, 'x'.repeat(100));
    done({ ...answer, code: answer.code as status, metadata });
  }

  #watch(call: WatchCall, request: WatchCreateRequest): void {
    const key = request.key.toString('latin1');
    const send = (rest: Partial<WatchResponseMessage>) => call.write(this.#watchAnswer(rest));
    send({ created: true });
    send({ events: [this.#event(`${key}new`)] });
    for (let lies = this.#random(4); lies > 0; lies -= 1) {
      for (const answer of this.#draw(this.#watches)(key)) {
        if (Buffer.isBuffer(answer)) call.write(answer);
        else call.emit('error', answer);
      }
    }
  }

  #draw<T>(lies: Readonly<Record<string, T>>): T {
    const names = Object.keys(lies);
    const name = names[this.#random(names.length)] as string;
    this.told.set(name, (this.told.get(name) ?? 0) + 1);
    return lies[name] as T;
  }

  readonly #ranges: Readonly<Record<string, (asked: RangeRequestMessage) => Answer>> = {
    'random bytes for a range': () => this.#bytes(),
    'other types': () => Buffer.from('0d0102030412021a00', 'hex'),
    'a count without end': (asked) => this.#page({ ...this.#honest(asked), count: 2n ** 53n - 1n }),
    'a count below zero': (asked) => this.#page({ ...this.#honest(asked), count: -1n }),
    'another cluster for a range': (asked) => this.#page({ ...this.#honest(asked), header: { ...this.#header, clusterId: 9n } }),
    'no header': (asked) => this.#page({ ...this.#honest(asked), header: undefined }),
    'a revision from the past': (asked) => this.#page({ ...this.#honest(asked), header: { ...this.#header, revision: 1n } }),
    'a revision without end': (asked) =>
      this.#page({ ...this.#honest(asked), header: { ...this.#header, revision: 2n ** 63n - 1n } }),
    'pages without end': ({ key }) => {
      const from = key.toString('latin1').replaceAll('\0', '');
      return this.#page({ header: this.#header, kvs: [this.#keyValue(`${from}z`)], more: true, count: 1n });
    },
    'keys that were not asked for': () =>
      this.#page({ header: this.#header, kvs: [this.#keyValue('cilium/state/nodes/v1/oslo/lie')], more: false, count: 1n }),
    'too many keys': ({ key }) => {
      const kvs = Array.from({ length: 3000 }, (_, at) => this.#keyValue(`${key.toString('latin1')}${10_000 + at}`));
      return this.#page({ header: this.#header, kvs, more: false, count: 3000n });
    },
    'a refusal': () => ({ code: CODES[this.#random(CODES.length)] as number, details: HOSTILE_TEXT }),
  };

  readonly #watches: Readonly<Record<string, (key: string) => readonly Answer[]>> = {
    'random bytes for a watch': () => [this.#bytes()],
    'events of other keys': () => [
      this.#watchAnswer({ events: [this.#event('cilium/state/nodes/v1/oslo/lie'), this.#event('a')] }),
    ],
    'events out of order': (key) => [
      this.#watchAnswer({ events: [this.#event(`${key}a`), { ...this.#event(`${key}b`), type: 1 as const }].reverse() }),
    ],
    'an event without a key': () => [this.#watchAnswer({ events: [{ type: 0, kv: undefined }] })],
    'parts that do not end': (key) =>
      Array.from({ length: 50 }, () => this.#watchAnswer({ fragment: true, events: [this.#event(`${key}f`)] })),
    'a part twice': (key) => {
      const part = this.#watchAnswer({ fragment: true, events: [this.#event(`${key}p`)] });
      return [part, part, this.#watchAnswer({ events: [this.#event(`${key}q`)] })];
    },
    'a cancellation with a long text': () => [this.#watchAnswer({ canceled: true, cancelReason: HOSTILE_TEXT })],
    'a compaction': () => [this.#watchAnswer({ canceled: true, compactRevision: 2n ** 52n })],
    'another cluster for a watch': () => [this.#watchAnswer({ header: { ...this.#header, clusterId: 9n } })],
    'progress without end': () =>
      Array.from({ length: 100 }, (_, at) => this.#watchAnswer({ header: { ...this.#header, revision: BigInt(200 + at) } })),
    'progress to the last revision': () => [this.#watchAnswer({ header: { ...this.#header, revision: 2n ** 53n - 1n } })],
    'a second creation': () => [this.#watchAnswer({ created: true })],
    'an end': () => [{ code: CODES[this.#random(CODES.length)] as number, details: HOSTILE_TEXT }],
  };

  get #header() {
    return { clusterId: CLUSTER_ID, memberId: 1n, revision: BigInt(this.#revision), raftTerm: 1n };
  }

  #honest({ key, rangeEnd, limit }: RangeRequestMessage): RangeResponseMessage {
    const [from, to] = [key.toString('latin1'), rangeEnd.toString('latin1')];
    const found = [...this.#store.keys()].filter((each) => (to === '' ? each === from : each >= from && each < to));
    const kvs = found.slice(0, Number(limit) || found.length).map((each) => this.#keyValue(each, this.#store.get(each)));
    return { header: this.#header, kvs, more: kvs.length < found.length, count: BigInt(found.length) };
  }

  #keyValue(key: string, value = 'v'): KeyValueMessage {
    return {
      key: Buffer.from(key, 'latin1'),
      value: Buffer.from(value),
      createRevision: 1n,
      modRevision: BigInt(this.#revision),
      version: 1n,
      lease: 0n,
    };
  }

  #event(key: string): EventMessage {
    this.#revision += 1;
    return { type: 0, kv: this.#keyValue(key) };
  }

  #page(answer: RangeResponseMessage): Buffer {
    return RangeResponse.encode(answer);
  }

  #watchAnswer(rest: Partial<WatchResponseMessage>): Buffer {
    return WatchResponse.encode(watchResponse(this.#header, rest));
  }

  #bytes(): Buffer {
    return Buffer.from(Array.from({ length: this.#random(200) }, () => this.#random(256)));
  }
}
