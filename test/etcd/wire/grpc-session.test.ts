/** Servers that end connections and streams in the ways of HTTP/2 rather than of gRPC. */
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { expect, onTestFinished, test } from 'vitest';
import { keyOf } from '../../../src/shared/etcd/types.ts';
import { frameOf } from '../../../src/shared/etcd/wire/grpc-frames.ts';
import { connect, soon } from '../../support/etcd/etcd-client.ts';
import { RangeResponse } from '../../support/etcd/etcd-messages.ts';
import { until } from '../../support/until.ts';
import { header } from './faulty-etcd.ts';

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '::1'));

interface RawServer {
  readonly endpoint: string;
  readonly sessions: readonly http2.ServerHttp2Session[];
  readonly headers: readonly http2.IncomingHttpHeaders[];
}

/** An answer to a Range without keys. */
const ANSWER = frameOf(RangeResponse.encode({ header: header(5), kvs: [], more: false, count: 0n }));

async function serve(onStream: (stream: http2.ServerHttp2Stream, nth: number) => void, host = '127.0.0.1'): Promise<RawServer> {
  const server = http2.createServer();
  const sessions: http2.ServerHttp2Session[] = [];
  const headers: http2.IncomingHttpHeaders[] = [];
  server.on('session', (session) => sessions.push(session.on('error', () => undefined)));
  server.on('stream', (stream, received) => {
    stream.on('error', () => undefined);
    headers.push(received);
    onStream(stream, headers.length);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sessions, headers };
}

/** Answers as etcd does. */
function succeed(stream: http2.ServerHttp2Stream): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(ANSWER);
}

test('after GOAWAY requests under way are answered, and the next one has another connection', async () => {
  const held: http2.ServerHttp2Stream[] = [];
  const { endpoint, sessions } = await serve((stream, nth) => (nth === 1 ? held.push(stream) : succeed(stream)));
  const client = connect(endpoint);
  const first = client.get(keyOf('a'), soon());
  await until('the request has arrived', () => held.length === 1);
  sessions[0]?.goaway();
  await until('the next one has another connection', async () => {
    await client.get(keyOf('b'), soon());
    return sessions.length === 2;
  });
  for (const stream of held) succeed(stream);
  expect(await first).toBeUndefined();
});

test.each([
  [
    'a stream that is reset',
    (stream: http2.ServerHttp2Stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR),
    'ETCD_UNAVAILABLE',
  ],
  ['a connection that is closed', (stream: http2.ServerHttp2Stream) => stream.session?.destroy(), 'ETCD_UNAVAILABLE'],
  [
    'an answer of a web server',
    (stream: http2.ServerHttp2Stream) => stream.respond({ ':status': 404 }, { endStream: true }),
    'ETCD_UNEXPECTED_STATUS',
  ],
  [
    'an answer of a proxy',
    (stream: http2.ServerHttp2Stream) => stream.respond({ ':status': 503 }, { endStream: true }),
    'ETCD_UNAVAILABLE',
  ],
  [
    'success without a message',
    (stream: http2.ServerHttp2Stream) => stream.respond({ ':status': 200, 'grpc-status': '0' }, { endStream: true }),
    'ETCD_UNEXPECTED_STATUS',
  ],
])('%s is an error by name, and the next request succeeds', async (_, refuse, code) => {
  const { endpoint } = await serve((stream, nth) => (nth === 1 ? refuse(stream) : succeed(stream)));
  const client = connect(endpoint);
  await expect(client.get(keyOf('a'), soon())).rejects.toMatchObject({ code });
  await until('a request succeeds', () =>
    client.get(keyOf('a'), soon()).then(
      () => true,
      () => false,
    ),
  );
});

test('a request carries its deadline, so that etcd gives up when the client does', async () => {
  const { endpoint, headers } = await serve(succeed);
  await connect(endpoint).get(keyOf('a'), { ...soon(), timeoutMs: 4321 });
  const [{ 'grpc-timeout': timeout } = {}] = headers;
  expect(timeout).toMatch(/^\d{1,8}m$/);
  expect(Number.parseInt(String(timeout), 10)).toBeLessThanOrEqual(4321);
});

test.skipIf(!hasIpv6)(
  'an endpoint may be an address with a zone, which no URL has (needs IPv6 on the loopback interface)',
  async () => {
    const { endpoint, headers } = await serve(succeed, '::1');
    const { port } = new URL(endpoint);
    expect(await connect(`http://[::1%lo]:${port}`).get(keyOf('a'), soon())).toBeUndefined();
    expect(headers).toEqual([expect.objectContaining({ ':authority': `[::1%lo]:${port}` })]);
  },
);
