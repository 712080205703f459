/**
 * Reads `cilium/cache/` as an agent does, through the JSON gateway and so independent of the program's own client: one listing,
 * then a watch, which it continues at the next member after its last revision when it loses one.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { callEtcd, prefixRange } from '../support/etcd/etcd-gateway.ts';
import { until } from '../support/until.ts';

const CACHE = prefixRange(Buffer.from('cilium/cache/'));
/** A member that hangs says nothing; one under the load of these tests does several times a second. */
const SILENCE_MS = 1_500;
const RESUME_INTERVAL_MS = 20;

interface Header {
  readonly cluster_id: string;
  readonly revision: string;
}

interface Message {
  readonly header: Header;
  readonly canceled?: boolean;
  readonly compact_revision?: string;
  readonly fragment?: boolean;
  readonly events?: readonly { readonly type?: string; readonly kv: RawKeyValue }[];
}

interface RawKeyValue {
  readonly key: string;
  readonly value?: string;
  readonly mod_revision: string;
}

export interface Read {
  readonly type: 'put' | 'delete';
  readonly key: string;
  readonly value: string;
  readonly revision: number;
  /** Of the wall clock. */
  readonly atMs: number;
}

export class AgentReader {
  readonly events: Read[] = [];
  /** Why an agent would have to list everything again. */
  readonly relistings: string[] = [];
  /** How often it continued at a member, the same or another one. */
  resumed = 0;
  /** Events up to and with this revision are not delivered. */
  readonly since: number;
  readonly #endpoints: readonly string[];
  readonly #clusterId: string;
  readonly #stop = new AbortController();
  #revision: number;

  private constructor(endpoints: readonly string[], header: Header) {
    this.#endpoints = endpoints;
    this.#clusterId = header.cluster_id;
    this.since = Number(header.revision);
    this.#revision = this.since;
  }

  /** `endpoints`: those of the members, in the order in which it goes to them. Stops when the test has finished. */
  static async start(endpoints: readonly string[]): Promise<AgentReader> {
    const listing = { ...CACHE, keys_only: true, limit: '1' };
    const { header } = (await callEtcd(endpoints[0] ?? '', 'kv/range', listing)) as { readonly header: Header };
    const reader = new AgentReader(endpoints, header);
    const ended = reader.#run();
    onTestFinished(async () => {
      reader.#stop.abort();
      await ended;
    });
    return reader;
  }

  /** Resolves with the first event whose value was written at the source at `ms` or later. */
  async untilWritten(ms: number): Promise<void> {
    const status = () => ({ events: this.events.length, resumed: this.resumed, relistings: this.relistings });
    const hasArrived = () => this.events.findLast(({ type }) => type === 'put');
    await until('a later change arrives', () => Number.parseInt(hasArrived()?.value ?? '0', 10) >= ms, { status });
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (let turn = 0; !signal.aborted; turn += 1) {
      try {
        await this.#follow(this.#endpoints[turn % this.#endpoints.length] ?? '');
      } catch {
        // The member is away, or hangs: the next one has the same history.
      }
      this.resumed += 1;
      await pause(RESUME_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #follow(endpoint: string): Promise<void> {
    const silence = new AbortController();
    const onSilence = () => silence.abort();
    let timer = setTimeout(onSilence, SILENCE_MS);
    try {
      const create = { ...CACHE, start_revision: String(this.#revision + 1), fragment: true };
      const response = await fetch(`${endpoint}/v3/watch`, {
        method: 'POST',
        body: JSON.stringify({ create_request: create }),
        signal: AbortSignal.any([this.#stop.signal, silence.signal]),
      });
      for await (const line of lines(response)) {
        clearTimeout(timer);
        timer = setTimeout(onSilence, SILENCE_MS);
        const { result } = JSON.parse(line) as { readonly result?: Message };
        if (result === undefined || !this.#take(result)) return;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** False where the watch has ended. */
  #take({ header, canceled, compact_revision: compacted, events = [] }: Message): boolean {
    if (header.cluster_id !== this.#clusterId) this.relistings.push(`cluster ID ${header.cluster_id}`);
    if (compacted !== undefined) this.relistings.push(`compacted: ${compacted}`);
    if (canceled === true) return false;
    const atMs = Date.now();
    for (const { type, kv } of events) {
      const [key, value] = [kv.key, kv.value ?? ''].map((text) => Buffer.from(text, 'base64').toString('latin1'));
      const revision = Number(kv.mod_revision);
      this.events.push({ type: type === 'DELETE' ? 'delete' : 'put', key: key ?? '', value: value ?? '', revision, atMs });
      this.#revision = revision;
    }
    return true;
  }
}

async function* lines(response: Response): AsyncGenerator<string> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    const [first = '', ...more] = decoder.decode(chunk, { stream: true }).split('\n');
    rest += first;
    for (const next of more) {
      yield rest;
      rest = next;
    }
  }
}
