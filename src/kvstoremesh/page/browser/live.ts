/**
 * The state of the mesh, kept up to date by the events of the server.
 *
 * The browser connects again by itself after an error, unless the server refuses; a connection without any event for longer
 * than the server is silent is replaced. The server starts each connection with its whole state.
 */
import type { MeshSummary, RemoteDetail, RemoteSummary, RemotesUpdate, Snapshot } from '../snapshot.ts';
import { serverTimeIs } from './format.ts';

/** A stream without any event for so long is replaced: the server sends one every 5 s. */
const SILENCE_MS = 15_000;
/** Between two attempts to open a stream that failed for good, and the same where the server refuses it. */
const RETRY_MS = 3_000;
export const REFUSED_RETRY_MS = 10_000;

export interface Connection {
  /** The server refuses a stream, because too many are open: the data are read now and then. */
  readonly isRefused: boolean;
  /** When it was lost; undefined while it works, and before the first one. */
  readonly lostMs: number | undefined;
  /** When data was received last. */
  readonly dataMs: number | undefined;
}

export interface Listener {
  /** `before`: as they were, without those that are new. */
  changed(before: ReadonlyMap<string, RemoteSummary>): void;
  connection(connection: Connection): void;
}

export class Live {
  readonly #listener: Listener;
  #mesh: MeshSummary | undefined;
  #remotes: ReadonlyMap<string, RemoteSummary> = new Map();
  #detail: RemoteDetail | undefined;
  #cluster: string | undefined;
  #source: EventSource | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isRefused = false;
  #lostMs: number | undefined;
  #dataMs: number | undefined;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  get mesh(): MeshSummary | undefined {
    return this.#mesh;
  }

  get remotes(): ReadonlyMap<string, RemoteSummary> {
    return this.#remotes;
  }

  /** Of the cluster that is followed; undefined until it has arrived. */
  get detail(): RemoteDetail | undefined {
    return this.#detail;
  }

  /** Connects, and follows the details of `cluster` too. */
  follow(cluster: string | undefined): void {
    if (this.#source !== undefined && cluster === this.#cluster) return;
    this.#cluster = cluster;
    this.#detail = undefined;
    this.#connect();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
  }

  #connect(): void {
    this.close();
    const query = this.#cluster === undefined ? '' : `?cluster=${encodeURIComponent(this.#cluster)}`;
    const source = new EventSource(`v1/page/stream${query}`);
    this.#source = source;
    const on = <Data>(name: string, take: (data: Data) => void) =>
      source.addEventListener(name, (event) => {
        if (source !== this.#source) return;
        this.#received();
        take(JSON.parse((event as MessageEvent<string>).data) as Data);
      });
    on<MeshSummary>('mesh', (mesh) => {
      this.#mesh = mesh;
      this.#listener.changed(this.#remotes);
    });
    on<RemotesUpdate>('remotes', (update) => this.#update(update));
    on<RemoteDetail>('detail', (detail) => {
      this.#detail = detail;
      this.#listener.changed(this.#remotes);
    });
    on<{ readonly now: number }>('beat', ({ now }) => serverTimeIs(now));
    source.addEventListener('error', () => {
      if (source !== this.#source) return;
      if (source.readyState === EventSource.CLOSED) void this.#readOnce(source);
      else this.#lost();
    });
    this.#expectMore();
  }

  #update({ names, changed }: RemotesUpdate): void {
    const before = this.#remotes;
    const known = new Map([...before, ...changed.map((remote) => [remote.name, remote] as const)]);
    this.#remotes =
      names === undefined
        ? known
        : new Map(
            names.flatMap((name) => {
              const remote = known.get(name);
              return remote === undefined ? [] : [[name, remote]];
            }),
          );
    this.#listener.changed(before);
  }

  /** A stream that the browser does not open again was refused, unless the server is away. */
  async #readOnce(source: EventSource): Promise<void> {
    clearTimeout(this.#timer);
    const retry = () => this.#connect();
    try {
      const answer = await fetch('v1/page');
      const { mesh, remotes } = (await answer.json()) as Snapshot;
      if (source !== this.#source) return;
      this.#isRefused = true;
      this.#lostMs = undefined;
      this.#dataMs = Date.now();
      this.#mesh = mesh;
      this.#update({ names: remotes.map(({ name }) => name), changed: remotes });
      this.#tell();
      this.#timer = setTimeout(retry, REFUSED_RETRY_MS);
    } catch {
      if (source !== this.#source) return;
      this.#lost();
      this.#timer = setTimeout(retry, RETRY_MS);
    }
  }

  #received(): void {
    this.#dataMs = Date.now();
    this.#expectMore();
    const isNews = this.#lostMs !== undefined || this.#isRefused;
    this.#lostMs = undefined;
    this.#isRefused = false;
    if (isNews) this.#tell();
  }

  #lost(): void {
    this.#lostMs ??= Date.now();
    this.#isRefused = false;
    this.#tell();
  }

  #tell(): void {
    this.#listener.connection({ isRefused: this.#isRefused, lostMs: this.#lostMs, dataMs: this.#dataMs });
  }

  /** Connects again unless something is received in time. */
  #expectMore(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#lost();
      this.#connect();
    }, SILENCE_MS);
  }
}
