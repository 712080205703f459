/**
 * A client of a Kubernetes API, embedded or real, with the credentials of a kubeconfig. One request is one
 * attempt.
 */
import http from 'node:http';
import https from 'node:https';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import { asError } from '../../../src/shared/errors.ts';
import { loadKubeConfig } from '../../../src/shared/k8s/kubeconfig.ts';
import { KubernetesRequestError } from '../errors.ts';

type Credentials = Awaited<ReturnType<typeof loadKubeConfig>>;

/** A manifest: whatever Kubernetes takes. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

/** One line of a watch. */
export interface WatchedEvent {
  readonly type: string;
  readonly object: Manifest;
}

const REQUEST_TIMEOUT_MS = 10_000;
const MAX_REASON_CHARACTERS = 300;

/** The kinds the demo writes, and the plural names their paths have. */
const PLURALS: Readonly<Record<string, string>> = {
  Namespace: 'namespaces',
  Service: 'services',
  Pod: 'pods',
  EndpointSlice: 'endpointslices',
  CiliumNode: 'ciliumnodes',
  CiliumIdentity: 'ciliumidentities',
  CiliumEndpoint: 'ciliumendpoints',
};

export class KubernetesClient {
  readonly #credentials: Credentials;
  readonly #agents = { http: new http.Agent({ keepAlive: true }), https: new https.Agent({ keepAlive: true }) };

  private constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  /** Throws KubeConfigError where the file cannot be used. */
  static async fromKubeconfig(path: string): Promise<KubernetesClient> {
    return new KubernetesClient(await loadKubeConfig(path));
  }

  get server(): string {
    return this.#credentials.server.href.replace(/\/$/, '');
  }

  /** Throws KubernetesRequestError with status 409 where the object exists. */
  async create(manifest: Manifest): Promise<void> {
    await this.#request('POST', collectionPath(manifest), manifest, 'application/json');
  }

  /** Merges `fields` into the object: lists are replaced, null removes. */
  async merge(manifest: Manifest, fields: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#request('PATCH', objectPath(manifest), fields, 'application/merge-patch+json');
  }

  /** The same for the status, where that is written by itself. */
  async mergeStatus(manifest: Manifest, fields: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#request('PATCH', `${objectPath(manifest)}/status`, fields, 'application/merge-patch+json');
  }

  /** Resolves also where the object does not exist. */
  async delete(manifest: Manifest): Promise<void> {
    try {
      await this.#request('DELETE', objectPath(manifest));
    } catch (thrown) {
      if (!(thrown instanceof KubernetesRequestError && thrown.status === 404)) throw thrown;
    }
  }

  /** Yields what happens to objects of one kind in a namespace from now on, until the server ends the watch. */
  async *watch(of: Manifest, signal: AbortSignal): AsyncGenerator<WatchedEvent> {
    const path = collectionPath(of);
    const list = JSON.parse(await this.#request('GET', `${path}?limit=1`)) as { metadata: { resourceVersion: string } };
    const from = new URLSearchParams({ watch: 'true', resourceVersion: list.metadata.resourceVersion });
    const answer = await this.#open('GET', `${path}?${from}`, signal);
    for await (const line of createInterface({ input: answer })) yield JSON.parse(line) as WatchedEvent;
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  /** The answer's text; throws KubernetesRequestError for any status but a good one. */
  async #request(method: string, path: string, body?: unknown, contentType?: string): Promise<string> {
    const answer = await this.#open(method, path, AbortSignal.timeout(REQUEST_TIMEOUT_MS), body, contentType);
    return (await buffer(answer)).toString('utf8');
  }

  async #open(
    method: string,
    path: string,
    signal: AbortSignal,
    body?: unknown,
    contentType?: string,
  ): Promise<http.IncomingMessage> {
    const { headers, tls } = await this.#credentials.access();
    const url = new URL(`${this.server}${path}`);
    const payload = body === undefined ? '' : JSON.stringify(body);
    const options: https.RequestOptions = {
      method,
      headers: {
        ...headers,
        accept: 'application/json',
        'user-agent': 'clustermesh-apiserver-demo',
        'content-length': Buffer.byteLength(payload),
        ...(contentType === undefined ? {} : { 'content-type': contentType }),
      },
      signal,
    };
    const what = `${method} ${path} at ${url.origin}`;
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const { ca, cert, key, servername, skipVerify } = tls;
      const trust = { ca, allowPartialTrustChain: true, rejectUnauthorized: !skipVerify };
      const request =
        url.protocol === 'https:'
          ? https.request(url, { ...options, agent: this.#agents.https, ...trust, cert, key, servername })
          : http.request(url, { ...options, agent: this.#agents.http });
      request.on('response', resolve);
      request.on('error', reject);
      request.end(payload);
    }).catch((thrown: unknown) => {
      throw new KubernetesRequestError(0, `${what} failed: ${asError(thrown).message}`, { cause: thrown });
    });
    const { statusCode: status = 0 } = answer;
    if (status < 300) return answer;
    const reason = reasonOf((await buffer(answer)).toString('utf8'));
    throw new KubernetesRequestError(status, `${what} was answered with ${status}: ${reason}`);
  }
}

function collectionPath({ apiVersion, kind, metadata: { namespace } }: Manifest): string {
  const plural = PLURALS[kind];
  if (plural === undefined) throw new TypeError(`the demo writes no ${kind}`);
  const root = apiVersion.includes('/') ? '/apis' : '/api';
  return `${root}/${apiVersion}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${plural}`;
}

function objectPath(manifest: Manifest): string {
  return `${collectionPath(manifest)}/${manifest.metadata.name}`;
}

/** The message of a Status, or what else was answered. */
function reasonOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return String(message ?? text).slice(0, MAX_REASON_CHARACTERS);
  } catch {
    return text.slice(0, MAX_REASON_CHARACTERS);
  }
}
