/**
 * Traces of the way of keys: one in so many is followed, and its spans are sent to a collector.
 *
 * Nothing waits for the collector. Spans wait in a bounded queue; those that do not fit, or that the collector does not
 * take, are dropped and counted. A span has the name of a key and never a value.
 */
import { asError, errorCode } from '../errors.ts';
import type { Counter, Registry } from '../http/metrics.ts';
import type { Logger } from '../process/log.ts';
import { Backoff } from '../time/backoff.ts';
import type { Clock } from '../time/clock.ts';
import { VERSION } from '../version.ts';
import { postJson } from './collector.ts';
import {
  MAX_SPANS_PER_REQUEST,
  MAX_TRACES_UNDER_WAY,
  MAX_WAITING_SPANS,
  TRACE_BACKOFF_MAX_MS,
  TRACE_INTERVAL_MS,
} from './limits.ts';
import { type Attributes, exportRequest, newSpanId, newTraceId, type Span } from './otlp.ts';

export interface TracerOptions {
  /** Of the daemon: `service.name`. */
  readonly service: string;
  readonly localCluster: string;
  readonly url: URL;
  /** PEM; undefined for the certificates of Node. */
  readonly ca: string | undefined;
  /** One in so many changes is traced; from 1 on. */
  readonly sampleOneIn: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
}

/** A step of a trace: its name, and when it ended. */
interface Step {
  readonly name: string;
  readonly endMs: number;
}

/** A change that is followed. */
export class Trace {
  readonly #tracer: Tracer;
  readonly #startMs: number;
  readonly #steps: Step[] = [];

  constructor(tracer: Tracer, startMs: number) {
    this.#tracer = tracer;
    this.#startMs = startMs;
  }

  /** The step `name` ends here; it began where the last one ended. */
  step(name: string): void {
    this.#steps.push({ name, endMs: this.#tracer.nowMs() });
  }

  /** The whole ends here. Call it once. */
  end(name: string, attributes: Attributes): void {
    this.#tracer.ended({ name, startMs: this.#startMs, steps: this.#steps, attributes });
  }
}

export class Tracer {
  readonly #options: TracerOptions;
  readonly #spans: Counter<'outcome'>;
  readonly #backoff = new Backoff({ minMs: TRACE_INTERVAL_MS, maxMs: TRACE_BACKOFF_MAX_MS });
  /** Wall clock minus monotonic clock at the start: spans of a trace do not overlap when the wall clock is set. */
  readonly #offsetMs: number;
  #waiting: Span[] = [];
  #underWay = 0;
  #untilNext = 1;
  #failing: string | undefined;

  constructor(options: TracerOptions) {
    this.#options = options;
    const { clock, metrics } = options;
    this.#offsetMs = clock.nowMs() - clock.monotonicMs();
    this.#spans = metrics.counter('trace_spans_total', 'Spans of traces, by whether the collector has taken them', ['outcome']);
    for (const outcome of ['exported', 'dropped']) this.#spans.inc({ outcome }, 0);
  }

  /** Wall clock, milliseconds with a fraction. */
  nowMs(): number {
    return this.#offsetMs + this.#options.clock.monotonicMs();
  }

  /** A trace that begins now, for one change in so many; undefined for the others, and while too many are under way. */
  sample(): Trace | undefined {
    this.#untilNext -= 1;
    if (this.#untilNext > 0) return undefined;
    this.#untilNext = this.#options.sampleOneIn;
    if (this.#underWay >= MAX_TRACES_UNDER_WAY) {
      this.#spans.inc({ outcome: 'dropped' });
      return undefined;
    }
    this.#underWay += 1;
    return new Trace(this, this.nowMs());
  }

  /** See Trace.end. */
  ended(trace: {
    readonly name: string;
    readonly startMs: number;
    readonly steps: readonly Step[];
    readonly attributes: Attributes;
  }): void {
    const { name, startMs, steps, attributes } = trace;
    this.#underWay -= 1;
    const [traceId, rootId] = [newTraceId(), newSpanId()];
    this.#add({ traceId, spanId: rootId, parentSpanId: undefined, name, startMs, endMs: this.nowMs(), attributes });
    let from = startMs;
    for (const { name: step, endMs } of steps) {
      this.#add({ traceId, spanId: newSpanId(), parentSpanId: rootId, name: step, startMs: from, endMs, attributes: {} });
      from = endMs;
    }
  }

  /** Sends what waits, from time to time. Runs until the signal is aborted, then resolves; what waits then is lost. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    let delayMs = TRACE_INTERVAL_MS;
    while (!signal.aborted) {
      await clock.sleep(delayMs, signal).catch(() => undefined);
      while (this.#waiting.length > 0 && !signal.aborted) {
        const isSent = await this.#send(this.#waiting.splice(0, MAX_SPANS_PER_REQUEST), signal);
        delayMs = isSent ? TRACE_INTERVAL_MS : this.#backoff.nextMs();
        if (!isSent) break;
        this.#backoff.reset();
      }
    }
  }

  #add(span: Span): void {
    if (this.#waiting.length < MAX_WAITING_SPANS) this.#waiting.push(span);
    else this.#spans.inc({ outcome: 'dropped' });
  }

  async #send(spans: readonly Span[], signal: AbortSignal): Promise<boolean> {
    const { service, localCluster, url, ca, log } = this.#options;
    const resource = { 'service.name': service, 'service.version': VERSION.version, 'k8s.cluster.name': localCluster };
    const scope = { name: 'clustermesh-apiserver', version: VERSION.version };
    try {
      await postJson(url, JSON.stringify(exportRequest(resource, scope, spans)), ca, signal);
    } catch (thrown) {
      if (signal.aborted) return false;
      const code = errorCode(thrown);
      if (this.#failing !== code)
        log.warn({ code, reason: asError(thrown).message }, 'cannot send traces; dropping them, nothing else is affected');
      this.#failing = code;
      this.#spans.inc({ outcome: 'dropped' }, spans.length);
      return false;
    }
    if (this.#failing !== undefined) log.info('traces can be sent again');
    this.#failing = undefined;
    this.#spans.inc({ outcome: 'exported' }, spans.length);
    return true;
  }
}
