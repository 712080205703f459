/**
 * Keeps one section of keys equal to the exports of a set of Kubernetes objects.
 *
 * An exporter is independent of the kind. It receives the ids that may have changed, evaluates what each exports, and
 * passes the difference to the section. The listing is complete when every input is complete and all of its
 * objects have been evaluated: other keys of the section are stale.
 */

import { asError } from '../../shared/errors.ts';
import { KUBE_SLICE_MS } from '../../shared/kubernetes/limits.ts';
import type { Sink } from '../../shared/publisher/types.ts';
import type { Clock } from '../../shared/time/clock.ts';
import type { Conversion } from '../converters/conversion.ts';
import type { Entry, Scope } from '../encoding/keyspace.ts';
import { type Listing, whenAllListed } from '../informers/listing.ts';
import { type EarlierRun, KeyClaims } from './key-claims.ts';
import type { NamespaceChange, Namespaces } from './namespaces.ts';
import type { ObjectRejections } from './object-rejections.ts';
import type { ObjectTraces } from './object-traces.ts';
import { Pace } from './pace.ts';
import { WorkQueue } from './work-queue.ts';

/** Nothing is exported, or no longer. */
export const NOTHING: Conversion = { entries: [], rejected: [] };

/** Not known yet; the exported keys stay unchanged. */
export const UNDECIDED = 'undecided';

export type Decision = Conversion | typeof UNDECIDED;

export interface ExporterOptions {
  readonly scope: Scope;
  readonly sink: Sink;
  /** What the object, or the join of objects, of this id exports now. */
  readonly evaluate: (id: string) => Decision;
  /** Evaluation starts when these are listed: a service without its backends would be wrong. */
  readonly prerequisites: readonly Listing[];
  /** The section is listed only when these are, too. */
  readonly inputs: readonly Listing[];
  /** Where several objects may claim a key: what the run before has left. */
  readonly earlier?: EarlierRun;
  /** The same: when the object of this id was created. Of several the youngest has the key. */
  readonly createdMs?: (id: string) => number;
  /** Called after the object of this id was given what it exports now. */
  readonly onExported?: (id: string, conversion: Conversion) => void;
  readonly rejections: ObjectRejections;
  /** Undefined where nothing is traced. */
  readonly tracesOf?: ((scope: Scope) => ObjectTraces) | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export class Exporter {
  readonly #options: ExporterOptions;
  readonly #claims: KeyClaims;
  readonly #queue: WorkQueue;
  readonly #pace: Pace;
  readonly #traces: ObjectTraces | undefined;

  constructor(options: ExporterOptions) {
    const { sink, prerequisites, inputs, earlier, createdMs = () => 0, clock, signal } = options;
    this.#options = options;
    this.#traces = options.tracesOf?.(options.scope);
    this.#claims = new KeyClaims(sink, { createdMs, entries: (id) => this.#entries(id) }, earlier);
    const traces = this.#traces;
    const work =
      traces === undefined ? (id: string) => this.#update(id) : (id: string) => traces.evaluating(id, () => this.#update(id));
    this.#queue = new WorkQueue({ work, clock, signal });
    this.#pace = new Pace({ due: (id) => this.#queue.add(id), clock, signal });
    whenAllListed(prerequisites, () => this.#queue.open());
    whenAllListed([...prerequisites, ...inputs], () => this.#queue.whenIdle(() => this.#decide(this.#claims.decide())));
  }

  /** What `id` exports may have changed. */
  changed(id: string): void {
    this.#traces?.changed(id);
    if (this.#pace.admits(id)) this.#queue.add(id);
  }

  /** Withdraws the keys of `id`, until it changes again. */
  withdraw(id: string): void {
    this.#traces?.dropped(id);
    this.#queue.drop(id);
    this.#pace.drop(id);
    this.#claims.claim(id, []);
    this.#options.onExported?.(id, NOTHING);
  }

  /** Calls `listener` once, as soon as what objects export is known of all of them. */
  whenIdle(listener: () => void): void {
    this.#queue.whenIdle(listener);
  }

  /** In slices, as all work: after a long absence etcd may have other values for very many keys. */
  #decide(undecided: Iterator<unknown>): void {
    const { sink, clock, signal } = this.#options;
    const endMs = clock.monotonicMs() + KUBE_SLICE_MS;
    while (clock.monotonicMs() < endMs) {
      if (signal.aborted) return;
      if (undecided.next().done) {
        sink.listed();
        return;
      }
    }
    setImmediate(() => this.#decide(undecided));
  }

  /** The exports of `id`; none while they are unknown: the change that is still to come causes another evaluation. */
  #entries(id: string): readonly Entry[] {
    try {
      const conversion = this.#options.evaluate(id);
      return conversion === UNDECIDED ? [] : conversion.entries;
    } catch {
      return [];
    }
  }

  #update(id: string): void {
    const { scope, evaluate, onExported, rejections } = this.#options;
    try {
      const conversion = evaluate(id);
      if (conversion === UNDECIDED) return;
      this.#claims.claim(id, conversion.entries);
      this.#pace.wrote(id, valueBytes(conversion.entries));
      onExported?.(id, conversion);
      rejections.parts(scope, id, conversion.rejected);
    } catch (thrown) {
      // One unexpected object must not stop the others; its exported keys stay.
      rejections.failure(scope, id, asError(thrown));
    }
  }
}

function valueBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const { value } of entries) bytes += value.length;
  return bytes;
}

/** Follows the switches of namespaces for the ids that `inNamespace` names; touches those of the namespace that changed alone. */
export function followNamespaces(
  exporter: Exporter,
  namespaces: Namespaces,
  inNamespace: (namespace: string) => Iterable<string>,
): void {
  namespaces.onChange((name: string, change: NamespaceChange) => {
    for (const id of [...inNamespace(name)]) {
      if (change === 'gone') exporter.withdraw(id);
      else exporter.changed(id);
    }
  });
}
