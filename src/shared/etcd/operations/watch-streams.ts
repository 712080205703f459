/**
 * The watches of a client share a stream, as those of etcd's own client do: a connection with hundreds of others has little
 * room for a stream for each prefix.
 *
 * The server sends the messages of all watches in one order, so a watch whose reader pauses would delay the others. It has room for a
 * few messages; without a reader for longer it leaves the stream, and its reader opens it again on one of its own, where flow control
 * stops the server. The same is done with all watches where a message cannot be read: it cannot be said whose it was.
 */
import { asError } from '../../errors.ts';
import { ENDED } from '../../time/abort.ts';
import type { Clock } from '../../time/clock.ts';
import type { OpenStream, Transport } from '../connection/transport.ts';
import { EtcdError, UnavailableError } from '../errors.ts';
import { decodeWatch, type WatchAnswer } from '../wire/codec.ts';
import { encodeWatchCancel } from '../wire/messages.ts';
import { WATCH } from '../wire/methods.ts';

/** Bytes of messages that wait for the reader of a watch, above which its stream stands still. One message may be larger. */
const WAITING_BYTES = 256 * 1024;
/** How long the watches of a stream stand still for the reader of one of them. */
const STANDSTILL_MS = 250;
/** Watches of a stream; more get another one. */
const MAX_WATCHES = 32;

export interface WatchStreamsOptions {
  readonly transport: Transport;
  readonly clock: Clock;
}

export interface SubscriptionOptions {
  /** The request to create the watch, with its ID on the stream. */
  readonly request: (watchId: number) => Buffer;
  /** On a stream of its own. */
  readonly alone: boolean;
  /** The watch shall be opened again, without a pause: the connection is replaced by another one, or it is to have a stream of its own. */
  readonly onRetire: (reason: 'connection' | 'alone') => void;
}

export class WatchStreams {
  readonly #options: WatchStreamsOptions;
  #shared: WatchStream | undefined;

  constructor(options: WatchStreamsOptions) {
    this.#options = options;
  }

  /** Asks for a watch on a stream of the channel in use, after `Transport.ready`. Throws ClosedError. */
  subscribe({ alone, ...options }: SubscriptionOptions): WatchSubscription {
    if (alone) return new WatchStream(this.#options, { isShared: false }).subscribe(options);
    if (this.#shared?.isOpen !== true) this.#shared = new WatchStream(this.#options, { isShared: true });
    return this.#shared.subscribe(options);
  }
}

class WatchStream {
  readonly #transport: Transport;
  readonly #clock: Clock;
  #isShared: boolean;
  readonly #open: OpenStream;
  /** By ID, once the server has created them. */
  readonly #watches = new Map<number, WatchSubscription>();
  /** In the order of their requests, in which etcd answers. Those that were closed since are answered too. */
  readonly #asked = new Set<WatchSubscription>();
  #lastId = 0;
  #isEnded = false;
  #isDoubtful = false;

  constructor({ transport, clock }: WatchStreamsOptions, { isShared }: { readonly isShared: boolean }) {
    this.#transport = transport;
    this.#clock = clock;
    this.#isShared = isShared;
    this.#open = transport.open(WATCH, () => this.#retire('connection'));
    void this.#run();
  }

  /** It takes another watch, and is what a new stream would be. */
  get isOpen(): boolean {
    return (
      this.#isShared &&
      !this.#isEnded &&
      !this.#isDoubtful &&
      this.#members.length < MAX_WATCHES &&
      this.#transport.isCurrent(this.#open)
    );
  }

  get channel(): OpenStream['channel'] {
    return this.#open.channel;
  }

  subscribe({ request, onRetire }: Omit<SubscriptionOptions, 'alone'>): WatchSubscription {
    this.#lastId += 1;
    const watch = new WatchSubscription(this, this.#lastId, onRetire);
    this.#asked.add(watch);
    this.#open.stream.send(request(watch.id));
    return watch;
  }

  settle(messageBytes: number): void {
    this.#open.stream.settle(messageBytes);
  }

  /** Ends a watch at the server, and the stream with its last one. */
  leave(watch: WatchSubscription): void {
    // Its answer may come yet; one that does not come leaves all in doubt which the next answer is for.
    if (this.#asked.has(watch)) this.#isDoubtful = true;
    else if (this.#watches.get(watch.id) === watch) {
      this.#watches.delete(watch.id);
      if (!this.#isEnded) this.#open.stream.send(encodeWatchCancel(watch.id));
    }
    if (this.#members.length === 0) this.#close();
  }

  get #members(): readonly WatchSubscription[] {
    return [...this.#watches.values(), ...this.#asked].filter(({ isClosed }) => !isClosed);
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const message = await this.#open.stream.next();
        if (message === undefined) break;
        await this.#dispatch(decodeWatch(message));
      }
      this.#end(undefined);
    } catch (thrown) {
      const error = asError(thrown);
      // A message that cannot be read: the watch that it is for meets it again, alone.
      if (error instanceof EtcdError && this.#isShared && this.#members.length > 1) this.#retire('alone');
      else this.#end(error);
    }
  }

  async #dispatch(answer: WatchAnswer): Promise<void> {
    const watch = answer.created ? this.#created(answer) : this.#watches.get(answer.watchId);
    if (watch === undefined || watch.isClosed) {
      this.settle(answer.events.message.length);
      return;
    }
    watch.push(answer);
    if (answer.canceled) this.#watches.delete(answer.watchId);
    if (watch.waitingBytes <= WAITING_BYTES) return;
    if (this.#isShared && !(await this.#isReadSoon(watch))) {
      if (this.#members.length > 1) this.#crowdOut(watch);
      // It is the only one, and none is added.
      else this.#isShared = false;
    }
    if (!this.#isShared) await watch.whenRead();
  }

  /** The watch that the server has created, or refused to create. */
  #created({ watchId, canceled }: WatchAnswer): WatchSubscription | undefined {
    // Older releases and proxies number watches themselves, and a watch that was refused has no number.
    const asked = [...this.#asked].find(({ id }) => id === watchId) ?? [...this.#asked][0];
    if (asked === undefined) return undefined;
    this.#asked.delete(asked);
    if (canceled) return asked;
    if (this.#watches.has(watchId)) {
      asked.end(new UnavailableError('the server began the watch out of order'));
      return undefined;
    }
    asked.id = watchId;
    if (asked.isClosed) this.#open.stream.send(encodeWatchCancel(watchId));
    else this.#watches.set(watchId, asked);
    return asked;
  }

  async #isReadSoon(watch: WatchSubscription): Promise<boolean> {
    const timer = new AbortController();
    const late = this.#clock.sleep(STANDSTILL_MS, timer.signal).then(
      () => false,
      () => true,
    );
    const isRead = await Promise.race([watch.whenRead().then(() => true), late]);
    timer.abort(ENDED);
    return isRead;
  }

  #crowdOut(watch: WatchSubscription): void {
    watch.retire('alone');
    this.leave(watch);
  }

  #retire(reason: 'connection' | 'alone'): void {
    const members = this.#members;
    this.#close();
    for (const watch of members) watch.retire(reason);
  }

  #end(error: Error | undefined): void {
    const members = this.#members;
    this.#close();
    for (const watch of members) watch.end(error);
  }

  #close(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#open.close();
  }
}

/** One watch. Created by WatchStreams. */
export class WatchSubscription {
  /** On its stream. The server may give it another one. */
  id: number;
  readonly #stream: WatchStream;
  readonly #onRetire: SubscriptionOptions['onRetire'];
  readonly #waiting: WatchAnswer[] = [];
  #waitingBytes = 0;
  #usedBytes: number[] = [];
  #reader: PromiseWithResolvers<WatchAnswer | undefined> | undefined;
  #read: PromiseWithResolvers<void> | undefined;
  #ended: { readonly error: Error | undefined } | undefined;
  #isClosed = false;

  constructor(stream: WatchStream, id: number, onRetire: SubscriptionOptions['onRetire']) {
    this.#stream = stream;
    this.id = id;
    this.#onRetire = onRetire;
  }

  get channel(): OpenStream['channel'] {
    return this.#stream.channel;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Of messages that were not taken yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /**
   * The next answer, undefined where the stream was ended and after `onRetire`, in both cases after what had come before. Rejects as
   * the stream does. Earlier answers are no longer in use, unless `keepsLast` is set. Await it before the next call.
   */
  next({ keepsLast = false } = {}): Promise<WatchAnswer | undefined> {
    if (!keepsLast) this.#letGo();
    this.#reader = Promise.withResolvers();
    const { promise } = this.#reader;
    this.#deliver();
    return promise;
  }

  /** Resolves when no message waits any more, or it was closed. */
  whenRead(): Promise<void> {
    if (this.#waiting.length === 0 || this.#isClosed) return Promise.resolve();
    this.#read ??= Promise.withResolvers();
    return this.#read.promise;
  }

  push(answer: WatchAnswer): void {
    this.#waiting.push(answer);
    this.#waitingBytes += answer.events.message.length;
    this.#deliver();
  }

  retire(reason: 'connection' | 'alone'): void {
    this.#onRetire(reason);
    this.end(undefined);
  }

  /** Nothing more comes. */
  end(error: Error | undefined): void {
    this.#ended ??= { error };
    this.#deliver();
  }

  /** Ends the watch; a pending `next` resolves with undefined. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#letGo();
    for (const { events } of this.#waiting.splice(0)) this.#stream.settle(events.message.length);
    this.#waitingBytes = 0;
    this.end(undefined);
    this.#stream.leave(this);
  }

  #letGo(): void {
    for (const bytes of this.#usedBytes.splice(0)) this.#stream.settle(bytes);
  }

  #deliver(): void {
    const reader = this.#reader;
    if (reader !== undefined) {
      const answer = this.#waiting.shift();
      if (answer !== undefined) {
        const { length } = answer.events.message;
        this.#waitingBytes -= length;
        this.#usedBytes.push(length);
        this.#reader = undefined;
        reader.resolve(answer);
      } else if (this.#ended !== undefined) {
        this.#reader = undefined;
        if (this.#ended.error === undefined) reader.resolve(undefined);
        else reader.reject(this.#ended.error);
      }
    }
    if (this.#waiting.length === 0 || this.#isClosed) {
      this.#read?.resolve();
      this.#read = undefined;
    }
  }
}
