/** A client of `GET /v1/cluster`: the status of a running kvstoremesh, of this program or of the original. */
import { get, type IncomingMessage } from 'node:http';
import { asError, ProgramError } from '../../shared/errors.ts';
import { MAX_STATUS_BYTES, STATUS_TIMEOUT_MS } from '../../shared/limits.ts';

/** The response is not a status; the message describes it. */
export class StatusUnavailableError extends ProgramError {
  readonly code = 'STATUS_UNAVAILABLE';
  readonly retriable = true;
  /** Of the response; undefined without one. */
  readonly httpStatus: number | undefined;

  constructor(message: string, { httpStatus, ...options }: ErrorOptions & { readonly httpStatus?: number | undefined } = {}) {
    super(message, options);
    this.httpStatus = httpStatus;
  }
}

/** The parsed body. `host` is `host:port`, with or without `http://`. Rejects with StatusUnavailableError. */
export function fetchStatus(host: string): Promise<unknown> {
  return fetchAnswer(host, '/v1/cluster');
}

/** As fetchStatus, of another path of the API. */
export async function fetchAnswer(host: string, path: string): Promise<unknown> {
  const signal = AbortSignal.timeout(STATUS_TIMEOUT_MS);
  try {
    const answer = await request(urlOf(host, path), signal);
    const body = await bodyOf(answer);
    const { statusCode: httpStatus } = answer;
    if (httpStatus !== 200)
      throw new StatusUnavailableError(`${host} answered ${httpStatus}; is it KVStoreMesh?`, { httpStatus });
    return JSON.parse(body) as unknown;
  } catch (thrown) {
    throw thrown instanceof StatusUnavailableError
      ? thrown
      : new StatusUnavailableError(reasonOf(thrown, host), { cause: thrown });
  }
}

function urlOf(host: string, path: string): URL {
  const url = URL.parse(host.includes('://') ? host : `http://${host}`);
  if (url?.protocol !== 'http:')
    throw new StatusUnavailableError(`${JSON.stringify(host)} is not an address; allowed: host:port, such as localhost:9889`);
  url.pathname = path;
  return url;
}

function request(url: URL, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { signal, agent: false, headers: { accept: 'application/json' } }, resolve).once('error', reject);
  });
}

async function bodyOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_STATUS_BYTES) throw new StatusUnavailableError(`the answer is larger than ${MAX_STATUS_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** In the original's words if nothing listens. */
function reasonOf(thrown: unknown, host: string): string {
  const error = asError(thrown);
  const codes = thrown instanceof AggregateError ? thrown.errors.map((each: NodeJS.ErrnoException) => each.code) : [];
  if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED' || codes.includes('ECONNREFUSED')) {
    return `is KVStoreMesh running and serving the API on ${host}?`;
  }
  if (error instanceof SyntaxError) return `the answer of ${host} is not JSON; is it KVStoreMesh?`;
  if (error.name === 'AbortError' || error.name === 'TimeoutError')
    return `${host} did not answer within ${STATUS_TIMEOUT_MS} ms`;
  return error.message;
}
