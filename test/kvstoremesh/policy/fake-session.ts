/** The stages of the import policy between a remote and sections, both in memory, with every step in the hands of a test. */
import { setImmediate as turn } from 'node:timers/promises';
import { RemotePolicy } from '../../../src/kvstoremesh/import-policy/remote-policy.ts';
import { ruleFor } from '../../../src/kvstoremesh/import-policy/rules/policy.ts';
import { parseImportPolicy } from '../../../src/kvstoremesh/import-policy/rules/policy-file.ts';
import { mappingOf } from '../../../src/kvstoremesh/kv/kinds.ts';
import { destinationPrefix, type Mapping } from '../../../src/kvstoremesh/mappings.ts';
import type { Stage } from '../../../src/kvstoremesh/stage.ts';
import type { EtcdKey } from '../../../src/shared/etcd/types.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { ManualClock } from '../../support/clocks.ts';
import { KINDS, type Kind, type RuleText } from './model.ts';

/** A section, and its part of an etcd that confirms writes when a test wants it to. */
export class FakeSection implements Stage {
  readonly prefix: EtcdKey;
  readonly etcd = new Map<EtcdKey, Buffer>();
  readonly #onWrite: (key: EtcdKey, isThere: boolean) => void;
  readonly #values = new Map<EtcdKey, Buffer>();
  #named = new Set<EtcdKey>();
  #confirmed: (() => void)[] = [];
  stats = { desired: 0, bytes: 0, pending: 0, listed: false, synced: false };

  constructor(mapping: Mapping, onWrite: (key: EtcdKey, isThere: boolean) => void) {
    this.prefix = destinationPrefix(mapping, 'berlin');
    this.#onWrite = onWrite;
  }

  upsert(key: EtcdKey, value: Uint8Array): void {
    this.#values.set(key, Buffer.from(value));
    this.#named.add(key);
  }

  keep(key: EtcdKey): void {
    this.#named.add(key);
  }

  remove(key: EtcdKey): void {
    this.#values.delete(key);
    this.#named.delete(key);
  }

  interrupted(): void {
    this.#named = new Set();
  }

  listed(): void {
    for (const key of this.#values.keys()) if (!this.#named.has(key)) this.#values.delete(key);
  }

  clear(): void {
    this.#values.clear();
    this.#named.clear();
  }

  liveBytes(key: EtcdKey): number | undefined {
    return this.#named.has(key) ? this.#values.get(key)?.length : undefined;
  }

  compare(key: EtcdKey, value: Uint8Array): 'absent' | 'same' | 'other' {
    const found = this.etcd.get(key);
    if (found === undefined) return 'absent';
    return found.equals(value) ? 'same' : 'other';
  }

  flushed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#confirmed.push(resolve);
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  }

  /** Everything desired is in the etcd. */
  confirm(): void {
    for (const key of [...this.etcd.keys()]) {
      if (this.#values.has(key)) continue;
      this.etcd.delete(key);
      this.#onWrite(key, false);
    }
    for (const [key, value] of this.#values) {
      if (this.etcd.get(key)?.equals(value)) continue;
      this.etcd.set(key, value);
      this.#onWrite(key, true);
    }
    for (const resolve of this.#confirmed.splice(0)) resolve();
  }
}

/** One remote, as a session of the daemon mirrors it. */
export class FakeSession {
  readonly clock = new ManualClock();
  readonly policy = new RemotePolicy('berlin', silentLogger);
  readonly sections: Readonly<Record<Kind, FakeSection>>;
  readonly store = Object.fromEntries(KINDS.map((kind) => [kind, new Map<string, string>()])) as Record<
    Kind,
    Map<string, string>
  >;
  /** Written keys and removed ones, with a minus, in the order in which the etcd has seen them. */
  readonly writes: string[] = [];
  /** How often the identities had to be listed again. */
  relists = 0;
  #run = new AbortController();
  #stages = new Map<Kind, Stage>();
  /** Kinds that are followed by their watch. */
  readonly #watched = new Set<Kind>();

  constructor() {
    const onWrite = (key: EtcdKey, isThere: boolean) => this.writes.push(`${isThere ? '' : '-'}${key}`);
    this.sections = Object.fromEntries(KINDS.map((kind) => [kind, new FakeSection(mappingOf(kind), onWrite)])) as never;
  }

  /** A rule of the file; undefined for none. */
  setRule(rule: RuleText | undefined): void {
    const file = JSON.stringify({ clusters: rule === undefined ? [] : [{ match: 'ber*', ...rule }] });
    this.policy.set(ruleFor(parseImportPolicy(file, 'policy.yaml') ?? [], 'berlin'));
    this.connect();
  }

  /** Begins to list every kind: see `list`. */
  connect(): void {
    this.#run.abort(new Error('the next connection begins'));
    this.#run = new AbortController();
    const { signal } = this.#run;
    this.#watched.clear();
    this.#stages = new Map();
    const isSynced = KINDS.every((kind) => this.sections[kind].stats.synced);
    const hasRoom = isSynced ? undefined : () => true;
    const run = this.policy.begin({ ordered: KINDS.map(mappingOf), hasRoom, unusedMs: 60_000, clock: this.clock, signal });
    for (const kind of KINDS) {
      const [mapping, section] = [mappingOf(kind), this.sections[kind]];
      if (!this.policy.imports(mapping)) {
        const done = run?.order;
        void (done?.turn(mapping, signal) ?? Promise.resolve())
          .then(() => section.clear())
          .then(() => section.flushed(signal))
          .then(() => done?.done(mapping))
          .catch(() => undefined);
        continue;
      }
      const relist = () => {
        this.relists += 1;
        this.#watched.delete(kind);
      };
      const stage = run?.stage(mapping, { section, next: section, relist }) ?? section;
      this.#stages.set(kind, stage);
      stage.interrupted('a connection begins');
    }
  }

  put(kind: Kind, own: string, value: string): void {
    this.store[kind].set(own, value);
    if (this.#watched.has(kind)) this.#stages.get(kind)?.upsert(this.#key(kind, own), Buffer.from(value, 'latin1'));
  }

  delete(kind: Kind, own: string): void {
    const wasThere = this.store[kind].delete(own);
    if (wasThere && this.#watched.has(kind)) this.#stages.get(kind)?.remove(this.#key(kind, own));
  }

  /** Lists a kind, again if it is watched; only `part` of it where the listing breaks off. */
  list(kind: Kind, part = Number.POSITIVE_INFINITY): void {
    const stage = this.#stages.get(kind);
    if (stage === undefined) return;
    stage.interrupted('a listing begins');
    this.#watched.delete(kind);
    for (const [own, value] of [...this.store[kind]].slice(0, part))
      stage.upsert(this.#key(kind, own), Buffer.from(value, 'latin1'));
    if (part !== Number.POSITIVE_INFINITY) return;
    this.#watched.add(kind);
    stage.listed();
  }

  /** Lists what is not watched, and confirms what is written, until nothing changes any more. */
  async settle(): Promise<void> {
    for (let round = 0; round < 12; round += 1) {
      for (const kind of KINDS) if (!this.#watched.has(kind)) this.list(kind);
      for (const kind of KINDS) {
        this.sections[kind].confirm();
        await turn();
      }
      await this.clock.advance(61_000);
    }
    for (const kind of KINDS) this.sections[kind].stats.synced = true;
  }

  /** What the etcd has, by kind and name. */
  get held(): Readonly<Record<Kind, Readonly<Record<string, string>>>> {
    const held = KINDS.map((kind) => {
      const { etcd, prefix } = this.sections[kind];
      return [kind, Object.fromEntries([...etcd].map(([key, value]) => [key.slice(prefix.length), value.toString('latin1')]))];
    });
    return Object.fromEntries(held) as never;
  }

  stop(): void {
    this.#run.abort(new Error('the test is over'));
  }

  #key(kind: Kind, own: string): EtcdKey {
    return `${this.sections[kind].prefix}${own}` as EtcdKey;
  }
}
