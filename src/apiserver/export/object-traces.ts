/**
 * Follows one in so many changes of Kubernetes objects on its way: from the event of the watch until the local etcd confirms
 * what it changes. Only with `--trace-endpoint`.
 */

import { printable } from '../../shared/printable.ts';
import type { Section } from '../../shared/publisher/types.ts';
import { onAbort } from '../../shared/time/abort.ts';
import { MAX_TRACED_KEY_LENGTH } from '../../shared/tracing/limits.ts';
import type { Trace, Tracer } from '../../shared/tracing/tracer.ts';

export interface ObjectTracesOptions {
  readonly tracer: Tracer;
  readonly section: Pick<Section, 'options' | 'stats' | 'flushed'>;
  /** Ends the traces under way. */
  readonly signal: AbortSignal;
}

/** The traces of one exporter. */
export class ObjectTraces {
  readonly #options: ObjectTracesOptions;
  /** By the id of the object, from its change until it is evaluated; bounded by what the tracer samples. */
  readonly #waiting = new Map<string, Trace>();

  constructor(options: ObjectTracesOptions) {
    this.#options = options;
    onAbort(options.signal, () => {
      for (const id of [...this.#waiting.keys()]) this.dropped(id);
    });
  }

  /** An event concerns the object of this id. Listings are left out. */
  changed(id: string): void {
    const { section, tracer } = this.#options;
    if (!section.stats.listed || this.#waiting.has(id)) return;
    const trace = tracer.sample();
    if (trace !== undefined) this.#waiting.set(id, trace);
  }

  /** It is not evaluated after all. */
  dropped(id: string): void {
    this.#end(id, false, 'drop');
  }

  /** Calls `evaluate`, which hands what the object exports to the section. */
  evaluating(id: string, evaluate: () => void): void {
    const { section } = this.#options;
    const { pending } = section.stats;
    evaluate();
    this.#end(id, section.stats.pending > pending, 'convert');
  }

  #end(id: string, isWritten: boolean, step: string): void {
    const trace = this.#waiting.get(id);
    if (trace === undefined) return;
    this.#waiting.delete(id);
    trace.step(step);
    void this.#confirm(trace, id, isWritten);
  }

  async #confirm(trace: Trace, id: string, isWritten: boolean): Promise<void> {
    const { section, signal } = this.#options;
    let confirmed = false;
    if (isWritten) {
      confirmed = await section.flushed(signal).then(
        () => true,
        () => false,
      );
      trace.step('write');
    }
    trace.end('export object', {
      'clustermesh.scope': section.options.scope,
      'clustermesh.object': printable(id, MAX_TRACED_KEY_LENGTH),
      'clustermesh.written': isWritten,
      'clustermesh.confirmed': confirmed,
    });
  }
}
