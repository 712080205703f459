/** The series of an etcd that its API does not have, from its metrics. */
import { networkInterfaces } from 'node:os';
import { MAX_ETCD_METRICS_BYTES } from '../limits.ts';

export interface EtcdSeries {
  readonly quotaBytes: number | undefined;
  readonly watchers: number | undefined;
  /** Watchers that lag behind. */
  readonly slowWatchers: number | undefined;
}

/** The port of etcd's metrics in the Pod. */
const METRICS_PORT = 9963;

/** Addresses of the Pod: one of each family, and the loopback one. */
const MAX_ADDRESSES = 4;

/** Where etcd serves its metrics: `url`, or where that is empty the port of Cilium's chart on the addresses of this Pod. */
export function metricsUrls(url: string): readonly string[] {
  if (url !== '') return [url];
  const addresses = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80'))
    .map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address));
  return ['127.0.0.1', ...addresses].slice(0, MAX_ADDRESSES).map((host) => `http://${host}:${METRICS_PORT}/metrics`);
}

/** Of the first of `urls` that serves them; undefined where none does. Never rejects. */
export async function readEtcdSeries(urls: readonly string[], signal: AbortSignal): Promise<EtcdSeries | undefined> {
  const texts = await Promise.all(urls.map((url) => metricsText(url, signal)));
  return texts.map((text) => text && seriesOf(text)).find((series) => series !== undefined && series !== '') || undefined;
}

/** Undefined where `text` has none of the series of an etcd. */
function seriesOf(text: string): EtcdSeries | undefined {
  const value = (name: string) => {
    const found = new RegExp(`^${name} ([0-9.e+]{1,30})$`, 'm').exec(text)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const series = {
    quotaBytes: value('etcd_server_quota_backend_bytes'),
    watchers: value('etcd_debugging_mvcc_watcher_total'),
    slowWatchers: value('etcd_debugging_mvcc_slow_watcher_total'),
  };
  return Object.values(series).every((each) => each === undefined) ? undefined : series;
}

/** The answer of `url`, up to a bound; undefined where there is none. Never rejects. */
export async function metricsText(url: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const answer = await fetch(url, { signal });
    if (!answer.ok || answer.body === null) return undefined;
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > MAX_ETCD_METRICS_BYTES) return undefined;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  } catch {
    return undefined;
  }
}
