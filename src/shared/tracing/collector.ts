/** The URL of a collector, and one request to it. */
import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { asError, ProgramError } from '../errors.ts';
import { FlagError } from '../flags/error.ts';
import { quoted } from '../flags/kinds.ts';
import { isLoopback } from '../tls/address.ts';
import { TRACE_REQUEST_TIMEOUT_MS } from './limits.ts';

/** The collector did not take the spans. */
export class CollectorError extends ProgramError {
  readonly code = 'TRACE_COLLECTOR';
  readonly retriable = true;
}

const DEFAULT_PATH = '/v1/traces';

/**
 * The URL that spans are sent to; a path that is missing is `/v1/traces`. Throws FlagError. The names of keys do not leave this
 * machine in plain text, and credentials do not belong into a flag.
 */
export function collectorUrl(flag: string, text: string): URL {
  const refused = (problem: string) =>
    new FlagError(`--${flag}: ${quoted(text)} ${problem}; allowed: https://host:4318/v1/traces, or http:// with localhost`);
  if (!URL.canParse(text)) throw refused('is not a URL');
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refused('is not an http or https URL');
  if (url.username !== '' || url.password !== '') throw refused('contains credentials');
  if (url.search !== '' || url.hash !== '') throw refused('has a query or a fragment');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (url.protocol === 'http:' && !isLoopback(host)) throw refused('is plain http to another machine');
  if (url.pathname === '/') url.pathname = DEFAULT_PATH;
  return url;
}

/**
 * Sends `body` as JSON. `ca`: the only CAs that are trusted, PEM; undefined for those of Node. Rejects with CollectorError, or
 * with the signal's reason. Redirects are not followed.
 */
export function postJson(url: URL, body: string, ca: string | undefined, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const failed = (problem: string) => reject(new CollectorError(`cannot send traces to ${url.origin}: ${problem}`));
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const options = { method: 'POST', headers, timeout: TRACE_REQUEST_TIMEOUT_MS, signal };
  const request =
    url.protocol === 'https:' ? tlsRequest(url, { ...options, ...(ca !== undefined && { ca }) }) : plainRequest(url, options);
  request.once('timeout', () => request.destroy(new Error(`no answer within ${TRACE_REQUEST_TIMEOUT_MS} ms`)));
  request.once('error', (thrown: unknown) => {
    if (signal.aborted) reject(signal.reason as Error);
    else failed(asError(thrown).message);
  });
  request.once('response', (response) => {
    // The body is not needed.
    response.destroy();
    const { statusCode = 0 } = response;
    if (statusCode >= 200 && statusCode < 300) resolve();
    else failed(`status ${statusCode}`);
  });
  request.end(body);
  return promise;
}
