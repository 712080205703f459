/** Writes the changes of remote clusters as Events: at a limited rate, and repetitions as series of one Event. */
import type { KubeConnection } from '../../shared/kubernetes/connection/connection.ts';
import { RequestRate } from '../../shared/kubernetes/connection/request-rate.ts';
import { continueEvent, createEvent, type EventSubject } from '../../shared/kubernetes/events.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { type EventQueue, keyOf, type WaitingEvent } from './event-queue.ts';
import { EVENT_MAX_AGE_MS, EVENT_SERIES_MS, KUBE_EVENTS_BURST, KUBE_EVENTS_PER_SECOND, MAX_EVENT_SERIES } from './limits.ts';
import { type ReportMetrics, ReportWrites } from './report-writes.ts';

export interface EventsOptions {
  readonly queue: EventQueue;
  readonly connection: KubeConnection;
  readonly subject: EventSubject;
  readonly metrics: ReportMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

/** An Event that was written. */
interface Written {
  readonly name: string;
  readonly count: number;
  readonly lastMs: number;
}

/** Runs until the signal is aborted, then rejects with its reason. */
export async function writeEvents(options: EventsOptions, signal: AbortSignal): Promise<never> {
  const { queue, subject, metrics, clock, log } = options;
  const remedy = `allow create and patch of events in API group "events.k8s.io" in namespace ${subject.namespace}, or start without --k8s-events`;
  const writes = new ReportWrites({ object: 'event', what: 'Events', remedy, givesUp: true, metrics, clock, log });
  const rate = new RequestRate({ perSecond: KUBE_EVENTS_PER_SECOND, burst: KUBE_EVENTS_BURST, clock });
  const series = new Map<string, Written>();
  for (;;) {
    const event = await queue.take(signal);
    const isDue = () => clock.nowMs() - event.occurrences.lastMs < EVENT_MAX_AGE_MS;
    const write = async () => {
      await rate.turn(signal);
      await writeEvent(options, series, event, signal);
    };
    if (!(await writes.repeat(write, signal, isDue))) metrics.count('event', 'dropped', event.occurrences.count);
  }
}

async function writeEvent(
  { connection, subject }: EventsOptions,
  series: Map<string, Written>,
  { content, occurrences }: WaitingEvent,
  signal: AbortSignal,
): Promise<void> {
  const key = keyOf(content);
  const earlier = series.get(key);
  const { lastMs } = occurrences;
  if (earlier !== undefined && occurrences.firstMs - earlier.lastMs < EVENT_SERIES_MS) {
    const count = earlier.count + occurrences.count;
    if (await continueEvent(connection, subject.namespace, earlier.name, { count, lastMs }, signal)) {
      series.set(key, { ...earlier, count, lastMs });
      return;
    }
  }
  const name = await createEvent(connection, subject, content, occurrences, signal);
  series.delete(key);
  series.set(key, { name, count: occurrences.count, lastMs });
  for (const oldest of series.keys()) {
    if (series.size <= MAX_EVENT_SERIES) break;
    series.delete(oldest);
  }
}
