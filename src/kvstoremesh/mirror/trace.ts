/**
 * Follows one in so many changes on its way: from the event of the remote's watch until the local etcd confirms it. Part of
 * the pipeline only with `--trace-endpoint`.
 *
 * Like the measurement of the delay, it leaves listings out. A change counts as confirmed when everything that was read before
 * it is, too.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import { printable } from '../../shared/printable.ts';
import type { Section } from '../../shared/publisher/types.ts';
import { MAX_TRACED_KEY_LENGTH } from '../../shared/tracing/limits.ts';
import type { Trace, Tracer } from '../../shared/tracing/tracer.ts';
import type { Stage } from '../stage.ts';
import { type AdmitOptions, AdmitStage } from './admit.ts';

export interface KeyTracesOptions {
  readonly tracer: Tracer;
  readonly cluster: string;
  readonly section: Pick<Section, 'options' | 'stats' | 'flushed'>;
  /** Ends the traces under way. */
  readonly signal: AbortSignal;
}

/** The traces of one mirror over one connection. */
export class KeyTraces {
  readonly #options: KeyTracesOptions;
  /** Of the change that passes the stages now. */
  #passing: Trace | undefined;
  #isWritten = false;

  constructor(options: KeyTracesOptions) {
    this.#options = options;
  }

  /** Calls `pass`, which hands the change to the stages. */
  follow(key: EtcdKey, operation: 'put' | 'delete', pass: () => void): void {
    const trace = this.#options.tracer.sample();
    if (trace === undefined) {
      pass();
      return;
    }
    this.#passing = trace;
    this.#isWritten = false;
    pass();
    const isAdmitted = this.#passing === undefined;
    this.#passing = undefined;
    void this.#end(trace, {
      key: printable(key, MAX_TRACED_KEY_LENGTH),
      operation,
      admitted: isAdmitted,
      written: this.#isWritten,
    });
  }

  /** The change has passed all stages; `store` hands it to the section. */
  admitted(store: () => void): void {
    const trace = this.#passing;
    this.#passing = undefined;
    trace?.step('admit');
    const { pending } = this.#options.section.stats;
    store();
    this.#isWritten = trace !== undefined && this.#options.section.stats.pending > pending;
  }

  async #end(trace: Trace, change: { key: string; operation: string; admitted: boolean; written: boolean }): Promise<void> {
    const { cluster, section, signal } = this.#options;
    let confirmed = false;
    if (change.written) {
      confirmed = await section.flushed(signal).then(
        () => true,
        () => false,
      );
      trace.step('write');
    }
    trace.end('mirror key', {
      'clustermesh.cluster': cluster,
      'clustermesh.scope': section.options.scope,
      'clustermesh.key': change.key,
      'clustermesh.operation': change.operation,
      'clustermesh.admitted': change.admitted,
      'clustermesh.written': change.written,
      'clustermesh.confirmed': confirmed,
    });
  }
}

/** The first stage, where a trace begins. */
export class TracedAdmitStage extends AdmitStage {
  readonly #traces: KeyTraces;
  #isListing = true;

  constructor(options: AdmitOptions, traces: KeyTraces) {
    super(options);
    this.#traces = traces;
  }

  override upsert(key: EtcdKey, value: Uint8Array): void {
    if (this.#isListing) super.upsert(key, value);
    else this.#traces.follow(key, 'put', () => super.upsert(key, value));
  }

  override remove(key: EtcdKey): void {
    if (this.#isListing) super.remove(key);
    else this.#traces.follow(key, 'delete', () => super.remove(key));
  }

  override listed(): void {
    this.#isListing = false;
    super.listed();
  }

  override interrupted(reason: string): void {
    this.#isListing = true;
    super.interrupted(reason);
  }
}

/** The stage before the last one, where a change is admitted. */
export class TracedStage implements Stage {
  readonly #traces: KeyTraces;
  readonly #next: Stage;

  constructor(traces: KeyTraces, next: Stage) {
    this.#traces = traces;
    this.#next = next;
  }

  upsert(key: EtcdKey, value: Uint8Array): void {
    this.#traces.admitted(() => this.#next.upsert(key, value));
  }

  remove(key: EtcdKey): void {
    this.#traces.admitted(() => this.#next.remove(key));
  }

  keep(key: EtcdKey): void {
    this.#next.keep(key);
  }

  listed(): void {
    this.#next.listed();
  }

  interrupted(reason: string): void {
    this.#next.interrupted(reason);
  }
}
