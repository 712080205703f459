/**
 * Checks a mirror from outside: by the history of the etcds themselves.
 *
 * At a quiet moment every mirrored prefix must be equal to its source. On the way there each key may only have had
 * values that its source had, in the source's order; a canary may only come once a complete listing is written; and
 * no key of another owner may change.
 */

import { type Change, StoreRecord, type StoreState } from '../etcd/store-record.ts';
import { until } from '../until.ts';

export interface ObservedStore {
  /** Reached without TLS and users. */
  readonly process: { readonly endpoint: string };
}

/** A remote that exports all six kinds, by keys without empty elements. */
export interface ObservedRemote extends ObservedStore {
  readonly name: string;
}

export interface OracleOptions {
  /** Keys may disappear from the local etcd without a deletion: leases expire, services are withdrawn. */
  readonly mayLose?: boolean;
  /** Several mirrors write the same keys: one that lags behind may put what another one has replaced. */
  readonly hasSeveralWriters?: boolean;
}

export interface Oracle extends AsyncDisposable {
  /** Resolves when every mirror is equal to its source and all that happened since the last time was right; rejects with what was not. */
  converged(withinMs?: number): Promise<void>;
  /** What the local etcd changed at this revision was done by the test. Puts without a lease need no pardon. */
  pardon(revision: number): void;
}

const KINDS = [
  ['nodes/v1', (cluster: string) => `${cluster}/`, ''],
  ['identities/v1', () => 'id/', 'id/'],
  ['ip/v1', () => 'default/', ''],
  ['services/v1', (cluster: string) => `${cluster}/`, ''],
  ['endpointslices/v1', (cluster: string) => `${cluster}/`, ''],
  ['serviceexports/v1', (cluster: string) => `${cluster}/`, ''],
] as const;

const SHARED = ['cilium/.has-cluster-config', 'cilium/.heartbeat', 'cilium/kvstoremesh-lock/'];
const MAX_SHOWN = 10;

/**
 * Looks on from now. `local` is mirrored into from `remotes`; all of them are watched directly, past every proxy. The local
 * etcd may be emptied on the way, not restored; the remotes may be either.
 */
export async function observe(
  local: ObservedStore,
  remotes: readonly ObservedRemote[],
  options: OracleOptions = {},
): Promise<Oracle> {
  const sources = await Promise.all(
    remotes.map(async ({ name, process }) => new Source(name, await StoreRecord.start(process.endpoint))),
  );
  const record = await StoreRecord.start(local.process.endpoint, { wasEmptied: true });
  const pardoned = new Set<number>();
  return {
    converged: async (withinMs = 45_000) => {
      await quiet(record, sources, withinMs);
      const breaches = judge(record, sources, options, (change) => isPardoned(change, pardoned, options));
      record.restart();
      for (const source of sources) source.record.restart();
      if (breaches.length === 0) return;
      const shown = breaches.slice(0, MAX_SHOWN).join('\n  ');
      throw new Error(`${breaches.length} breaches of what a mirror promises:\n  ${shown}`);
    },
    pardon: (revision) => pardoned.add(revision),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([record, ...sources.map((source) => source.record)].map((each) => each[Symbol.asyncDispose]()));
    },
  };
}

/** Waits until every mirror is equal to its source, by the records and by what the stores hold themselves. */
async function quiet(record: StoreRecord, sources: readonly Source[], withinMs: number): Promise<void> {
  const records = [record, ...sources.map((source) => source.record)];
  let compared = '';
  let difference: unknown = 'nothing was compared';
  await until(
    'the mirror is equal to its source',
    async () => {
      const stamp = () => records.map(({ changes }) => changes.length).join();
      if (stamp() === compared && difference !== undefined) return false;
      compared = stamp();
      difference = firstOf(sources, (source) =>
        firstDifference(source.mirrored(source.record.state), source.present(record.state)),
      );
      if (difference !== undefined) return false;
      for (const each of records) if (!(await each.isCurrent())) return false;
      return stamp() === compared;
    },
    { withinMs, status: () => difference ?? 'equal, but the records are not at the end yet' },
  );
}

/** Changes that are not the mirror's: it puts everything on a lease. */
function isPardoned({ entry, revision, cause }: Change, pardoned: ReadonlySet<number>, options: OracleOptions): boolean {
  if (cause !== 'event' || pardoned.has(revision)) return true;
  return entry === undefined ? options.mayLose === true : entry.lease === '0';
}

function judge(
  record: StoreRecord,
  sources: readonly Source[],
  { hasSeveralWriters = false }: OracleOptions,
  isExcused: (change: Change) => boolean,
): string[] {
  const breaches: string[] = [];
  const now = new Map([...record.base].map(([key, { value }]) => [key, value]));
  const histories = new Map(sources.map((source) => [source, source.history()]));
  const reached = new Map<string, number>();
  for (const change of record.changes) {
    const { key, entry, revision, cause } = change;
    const isOfTest = isExcused(change);
    // `now` is the state from the view of the mirror: it may not include external changes yet.
    if (isOfTest && cause === 'event' && entry !== undefined) continue;
    if (entry === undefined) now.delete(key);
    else now.set(key, entry.value);
    if (isOfTest) continue;
    const source = sources.find((each) => each.owns(key));
    const history = source === undefined ? undefined : histories.get(source);
    const scope = source?.canaryScope(key);
    const what = `${entry === undefined ? 'deletion' : 'put'} of ${key} at revision ${revision}`;
    if (source === undefined || history === undefined) {
      if (!SHARED.some((shared) => key.startsWith(shared))) breaches.push(`${what}: the key has another owner`);
    } else if (source.isMirrored(key)) {
      const from = hasSeveralWriters ? 0 : (reached.get(key) ?? 0);
      const found = history.find(key, entry?.value, from);
      if (found !== undefined) reached.set(key, found);
      else if (!history.isIncomplete)
        breaches.push(`${what}: ${history.find(key, entry?.value, 0) === undefined ? 'never so' : 'out of order'} in the source`);
    } else if (scope !== undefined && entry !== undefined) {
      const missing = history.firstOutdated(source.prefix(scope), now, source.announcedAt(scope));
      if (missing !== undefined && !history.isIncomplete) breaches.push(`${what}: ${missing} is not as listed yet`);
    }
  }
  return breaches;
}

interface Phase {
  /** Undefined while the key was absent. */
  readonly value: string | undefined;
  /** Position of the change in the record of the source; 0 from the beginning. */
  readonly at: number;
}

/** What the keys of a source were one after the other, under the names of the mirror. */
class History {
  readonly #phases = new Map<string, Phase[]>();
  readonly isIncomplete: boolean;

  constructor(
    base: ReadonlyMap<string, string>,
    changes: readonly { key: string | undefined; value: string | undefined }[],
    isIncomplete: boolean,
  ) {
    this.isIncomplete = isIncomplete;
    for (const [key, value] of base) this.#phases.set(key, [{ value, at: 0 }]);
    for (const [index, { key, value }] of changes.entries()) {
      if (key === undefined) continue;
      const phases = this.#phases.get(key) ?? [{ value: undefined, at: 0 }];
      this.#phases.set(key, phases);
      phases.push({ value, at: index + 1 });
    }
  }

  /** The first phase from `from` on in which the key was `value`. */
  find(key: string, value: string | undefined, from: number): number | undefined {
    const found = this.#of(key).findIndex((phase, index) => index >= from && phase.value === value);
    return found < 0 ? undefined : found;
  }

  /** A key below `prefix` that `now` has as the source had it only before position `at`, or never. */
  firstOutdated(prefix: string, now: ReadonlyMap<string, string>, at: number): string | undefined {
    for (const key of new Set([...this.#phases.keys(), ...now.keys()])) {
      if (!key.startsWith(prefix)) continue;
      const phases = this.#of(key);
      const isCurrent = phases.some(
        ({ value }, index) => value === now.get(key) && (phases[index + 1]?.at ?? Number.POSITIVE_INFINITY) > at,
      );
      if (!isCurrent) return key;
    }
    return undefined;
  }

  #of(key: string): readonly Phase[] {
    return this.#phases.get(key) ?? [{ value: undefined, at: 0 }];
  }
}

/** A remote, and which keys are mirrored of it to where. */
class Source {
  readonly name: string;
  readonly record: StoreRecord;
  /** Prefix in the source, prefix of the mirror. */
  readonly #prefixes: readonly (readonly [string, string])[];

  constructor(name: string, record: StoreRecord) {
    this.name = name;
    this.record = record;
    this.#prefixes = KINDS.map(([scope, tail, inner]) => [
      `cilium/state/${scope}/${tail(name)}`,
      `${this.prefix(scope)}${inner}`,
    ]);
  }

  prefix(scope: string): string {
    return `cilium/cache/${scope}/${this.name}/`;
  }

  isMirrored(key: string): boolean {
    return this.#prefixes.some(([, to]) => key.startsWith(to));
  }

  owns(key: string): boolean {
    return this.isMirrored(key) || key === `cilium/cluster-config/${this.name}` || key.startsWith(`cilium/synced/${this.name}/`);
  }

  /** The kind that a canary of the mirror is about. */
  canaryScope(key: string): string | undefined {
    return KINDS.map(([scope]) => scope).find((scope) => key === `cilium/synced/${this.name}/cilium/cache/${scope}`);
  }

  /** When the source itself announced the kind as complete: position of the change in its record. */
  announcedAt(scope: string): number {
    const canary = `cilium/synced/${this.name}/cilium/state/${scope}`;
    if (this.record.base.has(canary)) return 0;
    return this.record.changes.findIndex(({ key, entry }) => key === canary && entry !== undefined) + 1;
  }

  /** What the mirror of a source in that state holds. */
  mirrored(state: StoreState): Map<string, string> {
    const found = new Map<string, string>();
    for (const [key, { value }] of state) {
      const mirror = this.#mirrorOf(key);
      if (mirror !== undefined) found.set(mirror, value);
    }
    return found;
  }

  /** What a local etcd in that state holds of the source. */
  present(state: StoreState): Map<string, string> {
    return new Map([...state].filter(([key]) => this.isMirrored(key)).map(([key, { value }]) => [key, value]));
  }

  history(): History {
    const changes = this.record.changes.map(({ key, entry }) => ({ key: this.#mirrorOf(key), value: entry?.value }));
    return new History(
      this.mirrored(this.record.base),
      changes,
      this.record.changes.some(({ cause }) => cause === 'gap'),
    );
  }

  #mirrorOf(key: string): string | undefined {
    const [from, to] = this.#prefixes.find(([prefix]) => key.startsWith(prefix)) ?? [];
    return from === undefined || to === undefined ? undefined : to + key.slice(from.length);
  }
}

function firstOf<From, To>(all: readonly From[], find: (each: From) => To | undefined): To | undefined {
  for (const each of all) {
    const found = find(each);
    if (found !== undefined) return found;
  }
  return undefined;
}

function firstDifference(wanted: ReadonlyMap<string, string>, found: ReadonlyMap<string, string>): unknown {
  for (const key of new Set([...wanted.keys(), ...found.keys()])) {
    if (wanted.get(key) === found.get(key)) continue;
    const text = (value: string | undefined) =>
      value === undefined ? 'absent' : Buffer.from(value, 'base64').toString('latin1').slice(0, 80);
    return { key, source: text(wanted.get(key)), mirror: text(found.get(key)), sizes: [wanted.size, found.size] };
  }
  return undefined;
}
