/**
 * One HTTP request and its answer, on Node's own server.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { MAX_BODY_BYTES } from '../limits.ts';
import { isObject, type JsonObject, parseJson } from '../objects/json.ts';
import { badRequest, bodyTooLarge, unsupportedMediaType } from './status-error.ts';

/** What bodies are read; one without a type is JSON. */
const BODY_TYPES = ['', 'application/json', 'application/merge-patch+json', 'application/strategic-merge-patch+json'];

export class HttpExchange {
  readonly method: string;
  readonly pathname: string;
  readonly query: URLSearchParams;
  readonly host: string;
  readonly accept: string;
  /** Without parameters; empty where none is given. */
  readonly contentType: string;
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
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    this.signal = AbortSignal.any([gone.signal, serverSignal]);
  }

  /** True once a part of the answer has been sent. */
  get isAnswering(): boolean {
    return this.#response.headersSent;
  }

  /** The JSON object in the body; an empty one where there is no body. Throws a 400, or a 415 where its type is another one. */
  async body(): Promise<JsonObject> {
    const text = await this.#text();
    if (text.trim() === '') return {};
    if (!BODY_TYPES.includes(this.contentType)) throw unsupportedMediaType(this.contentType);
    const body = parseJson(text);
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
