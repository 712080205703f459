/**
 * An etcd that computes what it serves: ranges and watches of the keys of one simulated cluster, over HTTP/2 without TLS. As
 * etcd, it answers at earlier revisions as far as its history reaches.
 */
import { createServer, type Http2Server, type Http2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { frameOf } from '../../src/shared/etcd/wire/grpc-frames.ts';
import {
  decodeRangeRequest,
  decodeWatchRequest,
  type EncodedEvent,
  type EncodedKey,
  encodeRangeAnswer,
  encodeWatchAnswer,
  type Header,
  type RangeRequest,
  type WatchCreate,
} from './messages.ts';
import type { Change, KeyState, LightStore, Span } from './store.ts';

const RANGE = '/etcdserverpb.KV/Range';
const WATCH = '/etcdserverpb.Watch/Watch';
const [OK, OUT_OF_RANGE, UNIMPLEMENTED] = [0, 11, 12];
const PREFIX_BYTES = 5;
const LISTEN_BACKLOG = 1024;
const NO_BYTES = Buffer.alloc(0);

export interface LightEtcdOptions {
  readonly store: LightStore;
  readonly clusterId: bigint;
  /** An address of the loopback network. */
  readonly host: string;
  /** 0 for any. */
  readonly port: number;
}

/** The status of a call that fails. */
class Refusal {
  readonly status: number;
  readonly message: string;

  constructor(status: number, message: string) {
    this.status = status;
    this.message = message;
  }
}

export class LightEtcd {
  readonly store: LightStore;
  /** In every header; another store at the same address has another one. */
  clusterId: bigint;
  /** Connections accepted so far. */
  accepted = 0;
  readonly #options: LightEtcdOptions;
  readonly #sessions = new Set<Http2Session>();
  readonly #sockets = new Set<Socket>();
  #server: Http2Server | undefined;

  constructor(options: LightEtcdOptions) {
    this.store = options.store;
    this.clusterId = options.clusterId;
    this.#options = options;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Resolves with the port once connections are accepted. */
  async listen(port = this.#options.port): Promise<number> {
    const server = createServer();
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.accepted += 1;
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('session', (session) => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
      session.on('error', () => undefined);
    });
    server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      if (headers[':path'] === RANGE) this.#range(stream);
      else if (headers[':path'] === WATCH) this.#watch(stream);
      else refuse(stream, new Refusal(UNIMPLEMENTED, 'a light etcd has ranges and watches only'));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, this.#options.host, LISTEN_BACKLOG, resolve);
    });
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Resets all connections; new ones are refused until the next `listen`. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  get #header(): Header {
    return { clusterId: this.clusterId, revision: this.store.revision };
  }

  #range(stream: ServerHttp2Stream): void {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('end', () => {
      const answer = this.#answerRange(decodeRangeRequest(Buffer.concat(chunks).subarray(PREFIX_BYTES)));
      if (answer instanceof Refusal) {
        refuse(stream, answer);
        return;
      }
      respond(stream);
      stream.end(frameOf(answer));
    });
  }

  #answerRange({ key, end, limit, revision, ...rest }: RangeRequest): Buffer | Refusal {
    const { store } = this;
    if (revision > store.revision) return new Refusal(OUT_OF_RANGE, 'etcdserver: mvcc: required revision is a future revision');
    if (revision > 0 && revision < store.compacted)
      return new Refusal(OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted');
    const spans = store.spans(key, end);
    const earlier = revision === 0 || revision === store.revision ? undefined : statesAt(store, revision);
    const stateOf = (kind: number, position: number): KeyState | undefined => {
      if (earlier === undefined) return store.stateOf(kind, position);
      const place = placeOf(kind, position);
      return earlier.has(place) ? earlier.get(place) : store.stateOf(kind, position);
    };
    const header = this.#header;
    let count = store.count(spans);
    if (earlier !== undefined) {
      for (const [place, state] of earlier) {
        const [kind, position] = [Math.floor(place / PLACES), place % PLACES];
        if (!within(spans, kind, position)) continue;
        count += Number(state !== undefined) - Number(store.stateOf(kind, position) !== undefined);
      }
    }
    if (rest.countOnly) return encodeRangeAnswer({ header, keys: [], more: false, count });
    const keys: EncodedKey[] = [];
    for (const { kind, from, to } of spans) {
      for (let position = from; position < to; position += 1) {
        const state = stateOf(kind, position);
        if (state === undefined || state.modRevision < rest.minModRevision) continue;
        if (limit > 0 && keys.length === limit) return encodeRangeAnswer({ header, keys, more: true, count });
        const value = rest.keysOnly ? NO_BYTES : store.valueOf(kind, position, state.generation);
        keys.push({ key: store.keyOf(kind, position), value, state });
      }
    }
    return encodeRangeAnswer({ header, keys, more: false, count });
  }

  #watch(stream: ServerHttp2Stream): void {
    respond(stream);
    const watches = new Map<number, () => void>();
    let received: Buffer = NO_BYTES;
    stream.on('data', (chunk: Buffer) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      for (;;) {
        if (received.length < PREFIX_BYTES) return;
        const end = PREFIX_BYTES + received.readUInt32BE(1);
        if (received.length < end) return;
        const request = decodeWatchRequest(received.subarray(PREFIX_BYTES, end));
        received = received.subarray(end);
        if (request?.kind === 'create') this.#create(stream, watches, request.create);
        else if (request?.kind === 'progress') send(stream, encodeWatchAnswer({ header: this.#header, watchId: -1 }));
        else if (request?.kind === 'cancel') {
          watches.get(request.watchId)?.();
          watches.delete(request.watchId);
          send(stream, encodeWatchAnswer({ header: this.#header, watchId: request.watchId, canceled: true }));
        }
      }
    });
    stream.once('end', () => stream.end());
    stream.once('close', () => {
      for (const end of watches.values()) end();
      watches.clear();
    });
  }

  #create(stream: ServerHttp2Stream, watches: Map<number, () => void>, request: WatchCreate): void {
    const { store } = this;
    const { key, end, startRevision, deletesOnly } = request;
    let watchId = request.watchId;
    while (watches.has(watchId)) watchId += 1;
    send(stream, encodeWatchAnswer({ header: this.#header, watchId, created: true }));
    if (startRevision > 0 && startRevision <= store.compacted) {
      send(stream, encodeWatchAnswer({ header: this.#header, watchId, canceled: true, compactRevision: store.compacted }));
      return;
    }
    const spans = store.spans(key, end);
    const isWatched = ({ kind, position, state }: Change) =>
      within(spans, kind, position) && (state === undefined || !deletesOnly);
    const tell = (changes: readonly Change[]) => {
      const events = changes.map((change) => this.#event(change));
      send(stream, encodeWatchAnswer({ header: this.#header, watchId, events }));
    };
    const missed = startRevision === 0 ? [] : store.since(startRevision).filter(isWatched);
    if (missed.length > 0) tell(missed);
    watches.set(
      watchId,
      store.listen((change) => {
        if (change.revision >= startRevision && isWatched(change)) tell([change]);
      }),
    );
  }

  #event({ kind, position, revision, state }: Change): EncodedEvent {
    const key = this.store.keyOf(kind, position);
    if (state === undefined)
      return { key, value: NO_BYTES, state: { createRevision: 0, modRevision: revision, version: 0 }, isDeletion: true };
    return { key, value: this.store.valueOf(kind, position, state.generation), state, isDeletion: false };
  }
}

/** What was at `revision` where something else is now, by place. */
function statesAt(store: LightStore, revision: number): Map<number, KeyState | undefined> {
  const states = new Map<number, KeyState | undefined>();
  for (const { kind, position, before } of store.since(revision + 1)) {
    const place = placeOf(kind, position);
    if (!states.has(place)) states.set(place, before);
  }
  return states;
}

/** More than a kind has positions. */
const PLACES = 2 ** 32;

/** Kind and position in one number. */
function placeOf(kind: number, position: number): number {
  return kind * PLACES + position;
}

function within(spans: readonly Span[], kind: number, position: number): boolean {
  return spans.some((span) => span.kind === kind && position >= span.from && position < span.to);
}

function respond(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(OK) }));
}

/** Headers alone, as for every call that fails before its first message. */
function refuse(stream: ServerHttp2Stream, { status, message }: Refusal): void {
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': String(status), 'grpc-message': message },
    { endStream: true },
  );
}

function send(stream: ServerHttp2Stream, message: Buffer): void {
  if (!stream.destroyed && !stream.writableEnded) stream.write(frameOf(message));
}
