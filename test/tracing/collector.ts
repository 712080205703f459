/** A receiver of OTLP/HTTP in JSON that checks the encoding of everything it is sent. */
import { createServer as createPlain, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTls } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import type { Issued } from '../support/tls/pki.ts';

const hex = (digits: number) => z.string().regex(new RegExp(`^(?!0+$)[0-9a-f]{${digits}}$`));
const nanoseconds = z.string().regex(/^\d{19}$/);
const attributes = z.array(
  z.strictObject({
    key: z.string().min(1),
    value: z.union([
      z.strictObject({ stringValue: z.string() }),
      z.strictObject({ boolValue: z.boolean() }),
      z.strictObject({ intValue: z.string().regex(/^-?\d+$/) }),
      z.strictObject({ doubleValue: z.number() }),
    ]),
  }),
);
const span = z.strictObject({
  traceId: hex(32),
  spanId: hex(16),
  parentSpanId: hex(16).optional(),
  name: z.string().min(1),
  kind: z.literal(1),
  startTimeUnixNano: nanoseconds,
  endTimeUnixNano: nanoseconds,
  attributes,
});
const request = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes }),
      scopeSpans: z.array(
        z.strictObject({ scope: z.strictObject({ name: z.string(), version: z.string() }), spans: z.array(span).min(1) }),
      ),
    }),
  ),
});

export interface SeenSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, unknown>>;
}

export class Collector implements AsyncDisposable {
  readonly spans: SeenSpan[] = [];
  /** What was sent and is not as the encoding has it. */
  readonly faults: string[] = [];
  /** Bodies, as they came. */
  readonly bodies: string[] = [];
  /** Of the next responses. */
  status = 200;
  readonly url: string;
  readonly #stop: () => Promise<void>;

  private constructor(url: string, stop: () => Promise<void>) {
    this.url = url;
    this.#stop = stop;
  }

  static async start(certificate?: Issued): Promise<Collector> {
    let collector: Collector | undefined;
    const onRequest = (incoming: IncomingMessage, response: ServerResponse) => void collector?.take(incoming, response);
    const server = certificate === undefined ? createPlain(onRequest) : createTls(certificate, onRequest);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const stop = () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    collector = new Collector(`${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, stop);
    return collector;
  }

  async take(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(incoming);
    const { method, url, headers } = incoming;
    if (method !== 'POST' || url !== '/v1/traces') this.faults.push(`${method} ${url}`);
    if (headers['content-type'] !== 'application/json') this.faults.push(`content type ${headers['content-type']}`);
    this.bodies.push(body);
    const parsed = request.safeParse(JSON.parse(body));
    if (!parsed.success) this.faults.push(z.prettifyError(parsed.error));
    else if (this.status === 200) this.#note(parsed.data);
    response.writeHead(this.status, { 'content-type': 'application/json' }).end('{"partialSuccess":{}}');
  }

  #note({ resourceSpans }: z.infer<typeof request>): void {
    for (const { resource, scopeSpans } of resourceSpans)
      for (const each of scopeSpans.flatMap(({ spans }) => spans))
        this.spans.push({
          ...each,
          parentSpanId: each.parentSpanId,
          startNs: BigInt(each.startTimeUnixNano),
          endNs: BigInt(each.endTimeUnixNano),
          attributes: plain(each.attributes),
          resource: plain(resource.attributes),
        });
  }

  /** The span of the whole change of this key or object. */
  root(attribute: string, value: string): SeenSpan | undefined {
    return this.spans.find(({ attributes: found, parentSpanId }) => parentSpanId === undefined && found[attribute] === value);
  }

  /** The steps of a trace, in order. */
  steps({ traceId, spanId }: SeenSpan): readonly SeenSpan[] {
    return this.spans
      .filter((each) => each.traceId === traceId && each.parentSpanId === spanId)
      .sort((a, b) => Number(a.startNs - b.startNs));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
  }
}

function plain(list: z.infer<typeof attributes>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]));
}
