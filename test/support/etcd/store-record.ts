/**
 * The history of an etcd, read through its JSON gateway, independent of the program's own client.
 *
 * The record outlives the server: after each loss of the stream it looks whether the store is still the one that it
 * knows. It is not when it was emptied or restored, and part of its history is unknown when that was compacted in between.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { callEtcd, prefixRange } from './etcd-gateway.ts';

export interface Entry {
  /** In base64, as the gateway has it. */
  readonly value: string;
  /** `0` for none. */
  readonly lease: string;
  readonly modRevision: number;
}

export interface Change {
  /** One character per byte. */
  readonly key: string;
  /** Undefined for a deletion. */
  readonly entry: Entry | undefined;
  readonly revision: number;
  /** `replaced`: another store was found instead; `gap`: what happened in between is not known. */
  readonly cause: 'event' | 'replaced' | 'gap';
}

export type StoreState = ReadonlyMap<string, Entry>;

interface Answer {
  readonly header: { readonly revision: string };
  readonly events?: readonly { readonly type?: string; readonly kv: RawEntry }[];
  readonly fragment?: boolean;
  readonly canceled?: boolean;
}

interface RangeAnswer {
  readonly header: { readonly revision: string };
  readonly kvs?: readonly RawEntry[];
  readonly more?: boolean;
}

interface RawEntry {
  readonly key: string;
  readonly value?: string;
  readonly lease?: string;
  readonly mod_revision: string;
}

const EVERYTHING = prefixRange(Buffer.alloc(0));
const RESUME_INTERVAL_MS = 20;
const PAGE = 1000;
const RANGE_TIMEOUT_MS = 20_000;

export class StoreRecord implements AsyncDisposable {
  readonly #endpoint: string;
  readonly #wasEmptied: boolean;
  readonly #stop = new AbortController();
  #state = new Map<string, Entry>();
  #revision = 0;
  #base: StoreState = new Map();
  #changes: Change[] = [];
  #ended: Promise<void> | undefined;

  private constructor(endpoint: string, wasEmptied: boolean) {
    this.#endpoint = endpoint;
    this.#wasEmptied = wasEmptied;
  }

  /**
   * Begins with what the etcd of `endpoint`, without TLS and users, holds now. `wasEmptied`: another store that is found
   * there later began empty, and all that was written to it is to be seen.
   */
  static async start(endpoint: string, options: { readonly wasEmptied?: boolean } = {}): Promise<StoreRecord> {
    const record = new StoreRecord(endpoint, options.wasEmptied ?? false);
    const { state, revision } = await readStore(endpoint);
    record.#state = state;
    record.#revision = revision;
    record.#base = new Map(state);
    record.#ended = record.#run();
    return record;
  }

  /** The store as `base` was, and every change since the last `restart` in order. */
  get base(): StoreState {
    return this.#base;
  }

  get changes(): readonly Change[] {
    return this.#changes;
  }

  /** The store as it is after the last of the changes. */
  get state(): StoreState {
    return this.#state;
  }

  /** True where the record is exactly what the etcd answers now. */
  async isCurrent(): Promise<boolean> {
    const { state, revision } = await readStore(this.#endpoint);
    return this.#revision === revision && sameStore(this.#state, state);
  }

  /** Forgets the changes: what is now is the base of those to come. */
  restart(): void {
    this.#base = new Map(this.#state);
    this.#changes = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      try {
        if (!isFirst) await this.#verify();
        await this.#follow(signal);
      } catch {
        // The server is away, or ends the stream: what is asked for next is the same.
      }
      await pause(RESUME_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Is the store at the revision that was reached what it was then? */
  async #verify(): Promise<void> {
    try {
      const then = await readStore(this.#endpoint, this.#revision);
      if (!sameStore(then.state, this.#state)) await this.#replaced();
    } catch (thrown) {
      if (String(thrown).includes('future revision')) await this.#replaced();
      else if (String(thrown).includes('has been compacted')) this.#jump(await readStore(this.#endpoint), 'gap');
      else throw thrown;
    }
  }

  async #replaced(): Promise<void> {
    const empty = { state: new Map<string, Entry>(), revision: 1 };
    this.#jump(this.#wasEmptied ? empty : await readStore(this.#endpoint), 'replaced');
  }

  #jump({ state, revision }: { readonly state: Map<string, Entry>; readonly revision: number }, cause: Change['cause']): void {
    for (const key of new Set([...this.#state.keys(), ...state.keys()])) {
      const entry = state.get(key);
      if (entry?.modRevision === this.#state.get(key)?.modRevision && entry?.value === this.#state.get(key)?.value) continue;
      this.#changes.push({ key, entry, revision, cause });
    }
    this.#state = state;
    this.#revision = revision;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const create = { ...EVERYTHING, start_revision: String(this.#revision + 1), fragment: true };
    const response = await fetch(`${this.#endpoint}/v3/watch`, {
      method: 'POST',
      body: JSON.stringify({ create_request: create }),
      signal,
    });
    const parts: NonNullable<Answer['events']>[number][] = [];
    for await (const line of lines(response)) {
      const { result } = JSON.parse(line) as { readonly result?: Answer };
      if (result === undefined || result.canceled === true) return;
      parts.push(...(result.events ?? []));
      if (result.fragment === true) continue;
      for (const { type, kv } of parts.splice(0)) this.#apply(kv, type === 'DELETE');
    }
  }

  #apply(raw: RawEntry, isDeletion: boolean): void {
    const [key, entry] = parsed(raw);
    if (isDeletion) this.#state.delete(key);
    else this.#state.set(key, entry);
    this.#revision = entry.modRevision;
    this.#changes.push({ key, entry: isDeletion ? undefined : entry, revision: entry.modRevision, cause: 'event' });
  }
}

/** Everything that the etcd holds, or held at a revision. Rejects with etcd's own words. */
async function readStore(endpoint: string, asked = 0): Promise<{ state: Map<string, Entry>; revision: number }> {
  const state = new Map<string, Entry>();
  let revision = asked;
  let { key } = EVERYTHING;
  for (;;) {
    const request = { ...EVERYTHING, key, limit: String(PAGE), revision: String(revision) };
    const answer = (await callEtcd(endpoint, 'kv/range', request, RANGE_TIMEOUT_MS)) as RangeAnswer;
    if (revision === 0) revision = Number(answer.header.revision);
    for (const raw of answer.kvs ?? []) state.set(...parsed(raw));
    const last = answer.kvs?.at(-1);
    if (answer.more !== true || last === undefined) return { state, revision };
    key = Buffer.concat([Buffer.from(last.key, 'base64'), Buffer.alloc(1)]).toString('base64');
  }
}

function parsed({ key, value = '', lease = '0', mod_revision }: RawEntry): [string, Entry] {
  return [Buffer.from(key, 'base64').toString('latin1'), { value, lease, modRevision: Number(mod_revision) }];
}

function sameStore(a: StoreState, b: StoreState): boolean {
  if (a.size !== b.size) return false;
  for (const [key, entry] of a)
    if (b.get(key)?.modRevision !== entry.modRevision || b.get(key)?.value !== entry.value) return false;
  return true;
}

async function* lines(response: Response): AsyncGenerator<string> {
  let rest: string[] = [];
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    const [first = '', ...more] = decoder.decode(chunk, { stream: true }).split('\n');
    rest.push(first);
    for (const next of more) {
      yield rest.join('');
      rest = [next];
    }
  }
}
