/**
 * Plain requests to a Kubernetes API, for fixtures: over HTTP, or HTTPS with a certificate to trust.
 */
import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';

export interface ApiAddress {
  readonly url: string;
  readonly token?: string;
  /** The certificate authority of an https URL, asked for when the first connection is made. */
  readonly ca?: () => Buffer;
}

export interface ApiAnswer {
  readonly code: number;
  readonly body: unknown;
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

const MAX_ATTEMPTS = 200;
const RETRY_MS = 50;

function isOfEndingNamespace({ code, body }: ApiAnswer): boolean {
  return code === 403 && JSON.stringify(body).includes('NamespaceTerminating');
}

export class KubernetesRequests {
  readonly #address: ApiAddress;
  #agent: PlainAgent | TlsAgent | undefined;

  constructor(address: ApiAddress) {
    this.#address = address;
  }

  get url(): string {
    return this.#address.url;
  }

  /** The object at `path`, undefined where there is none. */
  async get(path: string): Promise<unknown> {
    const answer = await this.send('GET', path);
    return answer.code === 404 ? undefined : succeeded('GET', path, answer).body;
  }

  /** Waits where the namespace was deleted and exists again: the server learns of both a moment later than it answers. */
  async create(path: string, object: unknown): Promise<unknown> {
    let answer = await this.send('POST', path, object);
    for (let attempt = 1; isOfEndingNamespace(answer) && attempt < MAX_ATTEMPTS; attempt += 1) {
      await pause(RETRY_MS);
      answer = await this.send('POST', path, object);
    }
    return succeeded('POST', path, answer).body;
  }

  async replace(path: string, object: unknown): Promise<unknown> {
    return succeeded('PUT', path, await this.send('PUT', path, object)).body;
  }

  /** `type` is the middle of the content type: `merge-patch`, `strategic-merge-patch`. */
  async patch(path: string, type: string, patch: unknown): Promise<unknown> {
    return succeeded('PATCH', path, await this.send('PATCH', path, patch, `application/${type}+json`)).body;
  }

  /** Server-side apply, by force, of an object in its plain form. */
  async apply(path: string, object: unknown, fieldManager = 'kubectl'): Promise<unknown> {
    const query = `${path}?fieldManager=${fieldManager}&force=true&fieldValidation=Ignore`;
    return succeeded('PATCH', path, await this.send('PATCH', query, object, 'application/apply-patch+yaml')).body;
  }

  /** Deletes the object at `path`; one that does not exist is fine. */
  async delete(path: string): Promise<void> {
    const answer = await this.send('DELETE', path);
    if (answer.code !== 404) succeeded('DELETE', path, answer);
  }

  /** One request and its response, with any status. */
  async send(method: Method, path: string, body?: unknown, contentType = 'application/json'): Promise<ApiAnswer> {
    const response = await this.open(method, path, body, contentType);
    const answer = await text(response);
    return { code: response.statusCode ?? 0, body: parsed(answer) };
  }

  /** One request; resolves when the answer begins. Sent once more where the server closed its idle connection just then. */
  async open(method: Method, path: string, body?: unknown, contentType?: string): Promise<IncomingMessage> {
    const first = await this.#open(method, path, body, contentType);
    return (
      first ??
      (await this.#open(method, path, body, contentType)) ??
      Promise.reject(new Error(`${method} ${path}: no connection lasts`))
    );
  }

  #open(method: Method, path: string, body?: unknown, contentType = 'application/json'): Promise<IncomingMessage | undefined> {
    const { url, token } = this.#address;
    const sent = body === undefined ? '' : jsonAndYaml(body);
    const headers = {
      accept: 'application/json',
      'content-length': Buffer.byteLength(sent),
      ...(body === undefined ? {} : { 'content-type': contentType }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const options = { method, headers, agent: this.#connections() };
    return new Promise((resolve, reject) => {
      const target = new URL(path, url);
      const request = url.startsWith('https:') ? tlsRequest(target, options) : plainRequest(target, options);
      request.once('response', resolve);
      request.once('error', (error: NodeJS.ErrnoException) => {
        if (request.reusedSocket && error.code === 'ECONNRESET') resolve(undefined);
        else reject(error);
      });
      request.end(sent);
    });
  }

  /** Closes the connections that are kept. */
  close(): void {
    this.#agent?.destroy();
    this.#agent = undefined;
  }

  #connections(): PlainAgent | TlsAgent {
    const { url, ca } = this.#address;
    const options = { keepAlive: true, maxSockets: 4 };
    this.#agent ??= url.startsWith('https:')
      ? new TlsAgent({ ...options, ...(ca === undefined ? {} : { ca: ca() }) })
      : new PlainAgent(options);
    return this.#agent;
  }
}

/** `value` as text that JSON and YAML readers read alike: to the latter two characters would be line breaks. */
function jsonAndYaml(value: unknown): string {
  return JSON.stringify(value).replaceAll('\u2028', String.raw`\u2028`).replaceAll('\u2029', String.raw`\u2029`);
}

function succeeded(method: Method, path: string, answer: ApiAnswer): ApiAnswer {
  if (answer.code < 200 || answer.code > 299) {
    throw new Error(`${method} ${path}: ${answer.code} ${JSON.stringify(answer.body).slice(0, 1_000)}`);
  }
  return answer;
}

function parsed(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    return answer;
  }
}
