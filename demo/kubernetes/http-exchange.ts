/**
 * One HTTP request and its answer, on Node's own server.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parse as parseYaml } from 'yaml';
import { isObject, type Json, type JsonObject, parseJson } from './json.ts';
import { MAX_BODY_BYTES } from './limits.ts';
import { badRequest, bodyTooLarge, unsupportedMediaType } from './status-error.ts';

export class HttpExchange {
  readonly method: string;
  readonly pathname: string;
  readonly query: URLSearchParams;
  readonly host: string;
  readonly accept: string;
  /** Without parameters; empty where none is given. */
  readonly contentType: string;
  readonly userAgent: string;
  /** Aborted when the client is gone or the server ends. */
  readonly signal: AbortSignal;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse, serverSignal: AbortSignal) {
    this.#request = request;
    this.#response = response;
    const url = new URL(request.url ?? '/', 'http://embedded');
    this.method = request.method ?? 'GET';
    this.pathname = url.pathname;
    this.query = url.searchParams;
    this.host = request.headers.host ?? '';
    this.accept = request.headers.accept ?? '';
    this.contentType = (request.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
    this.userAgent = request.headers['user-agent'] ?? '';
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    this.signal = AbortSignal.any([gone.signal, serverSignal]);
  }

  /** True once a part of the answer has been sent. */
  get isAnswering(): boolean {
    return this.#response.headersSent;
  }

  /** The body as JSON, read as YAML where its type says so. Undefined where there is no body. */
  async body(): Promise<Json | undefined> {
    const text = await this.#text();
    if (text.trim() === '') return undefined;
    if (this.contentType === 'application/apply-patch+yaml' || this.contentType === 'application/yaml') return yaml(text);
    if (this.contentType !== '' && !/^application\/(?:[\w.-]+\+)?json$/.test(this.contentType))
      throw unsupportedMediaType(this.contentType);
    return parseJson(text);
  }

  /** The body as an object. Throws a 400 where it is something else. */
  async objectBody(): Promise<JsonObject> {
    const body = (await this.body()) ?? {};
    if (!isObject(body)) throw badRequest('the body is no object');
    return body;
  }

  /** Answers with `body` as JSON. */
  answer(code: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
    this.#response.writeHead(code, { 'content-type': 'application/json', 'cache-control': 'no-cache, private', ...headers });
    this.#response.end(`${JSON.stringify(body)}\n`);
  }

  answerText(code: number, text: string): void {
    this.#response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8' });
    this.#response.end(text);
  }

  /** Begins an answer without an end; the client learns at once that it has begun. */
  beginStream(): void {
    this.#response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
    this.#response.flushHeaders();
  }

  /** Resolves when the client has taken enough of what was written. Does nothing for a client that is gone. */
  async write(chunk: string): Promise<void> {
    if (this.signal.aborted || this.#response.write(chunk)) return;
    await once(this.#response, 'drain', { signal: this.signal }).catch(() => undefined);
  }

  endStream(): void {
    this.#response.end();
  }

  async #text(): Promise<string> {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of this.#request as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_BODY_BYTES) throw bodyTooLarge(MAX_BODY_BYTES);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  }
}

/** YAML as Kubernetes reads it: version 1.1, where `yes` is a truth. */
function yaml(text: string): Json {
  try {
    return parseJson(JSON.stringify(parseYaml(text, { version: '1.1', maxAliasCount: 100 }) ?? null));
  } catch (error) {
    throw badRequest(`the body is not YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
}
