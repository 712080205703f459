/**
 * Keeps one section of keys equal to what a set of Kubernetes objects exports.
 *
 * An exporter knows no kind. It is told which ids may have changed, asks what each exports now, and
 * hands the difference to the section. The listing is complete when every input is and all that came with
 * them has been evaluated: what the section does not name by then is stale.
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
import { WorkQueue } from './work-queue.ts';

/** Nothing is exported, or no longer. */
export const NOTHING: Conversion = { entries: [], rejected: [] };

/** It can't be told yet; what is exported stays as it is. */
export const UNDECIDED = 'undecided';

export type Decision = Conversion | typeof UNDECIDED;

export interface ExporterOptions {
  readonly scope: Scope;
  readonly sink: Sink;
  /** What the object, or the join of objects, of this id exports now. */
  readonly evaluate: (id: string) => Decision;
  /** Evaluation begins when these are listed: a service without its backends would be a wrong one. */
  readonly prerequisites: readonly Listing[];
  /** The section is listed when these are, too. */
  readonly inputs: readonly Listing[];
  /** Where several objects may claim a key: what the run before has left. */
  readonly earlier?: EarlierRun;
  /** The same: when the object of this id was created. Of several the youngest has the key. */
  readonly createdMs?: (id: string) => number;
  readonly rejections: ObjectRejections;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export class Exporter {
  readonly #options: ExporterOptions;
  readonly #claims: KeyClaims;
  readonly #queue: WorkQueue;

  constructor(options: ExporterOptions) {
    const { sink, prerequisites, inputs, earlier, createdMs = () => 0, clock, signal } = options;
    this.#options = options;
    this.#claims = new KeyClaims(sink, { createdMs, entries: (id) => this.#entries(id) }, earlier);
    this.#queue = new WorkQueue({ work: (id) => this.#update(id), clock, signal });
    whenAllListed(prerequisites, () => this.#queue.open());
    whenAllListed([...prerequisites, ...inputs], () => this.#queue.whenIdle(() => this.#decide(this.#claims.decide())));
  }

  /** What `id` exports may have changed. */
  changed(id: string): void {
    this.#queue.add(id);
  }

  /** Whatever `id` exports is withdrawn, until it changes again. */
  withdraw(id: string): void {
    this.#queue.drop(id);
    this.#claims.claim(id, []);
  }

  /** In slices, as all work is: after a long absence etcd may hold other values under very many keys. */
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

  /** What `id` exports now; nothing where that cannot be told: it is told with the change that is still to come. */
  #entries(id: string): readonly Entry[] {
    try {
      const conversion = this.#options.evaluate(id);
      return conversion === UNDECIDED ? [] : conversion.entries;
    } catch {
      return [];
    }
  }

  #update(id: string): void {
    const { scope, evaluate, rejections } = this.#options;
    try {
      const conversion = evaluate(id);
      if (conversion === UNDECIDED) return;
      this.#claims.claim(id, conversion.entries);
      rejections.parts(scope, id, conversion.rejected);
    } catch (thrown) {
      // One object that nobody has thought of must not stop the others; what it exported stays.
      rejections.failure(scope, id, asError(thrown));
    }
  }
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
