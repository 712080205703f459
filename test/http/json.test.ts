import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HttpServer, serveJson } from '../../src/shared/http/server.ts';

let clusters: unknown[] = [];
let server: HttpServer;
const stop = new AbortController();

beforeAll(async () => {
  const resources = { '/v1/cluster': () => clusters };
  server = await serveJson(resources, {
    address: { host: '127.0.0.1', port: 0 },
    flag: 'api-serve-addr',
    signal: stop.signal,
  });
});

afterAll(() => server.close());

/** As raw as it gets: fetch hides the connection header. */
async function send(method: string, path: string, body?: string, type = 'application/json') {
  const { promise, resolve, reject } = Promise.withResolvers<import('node:http').IncomingMessage>();
  const headers = body === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(body) };
  request({ port: server.port, host: '127.0.0.1', method, path, headers }, resolve).on('error', reject).end(body);
  const response = await promise;
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

test('a resource is read at the time of the request, its body ends with a line break', async () => {
  expect((await send('GET', '/v1/cluster')).body).toBe('[]\n');
  clusters = [{ name: 'east', ready: true }];
  const answer = await send('GET', '/v1/cluster?x=1');
  expect(answer).toMatchObject({ status: 200, body: '[{"name":"east","ready":true}]\n' });
  expect(answer.headers).toMatchObject({ 'content-type': expect.stringMatching(/^application\/json/), connection: 'close' });
});

test.each([
  ['GET', '/cluster', 404, '{"code":404,"message":"path /cluster was not found"}'],
  ['GET', '/v1/nope?a=b', 404, '{"code":404,"message":"path /v1/nope was not found"}'],
  ['GET', '/constructor', 404, '{"code":404,"message":"path /constructor was not found"}'],
  ['POST', '/v1/cluster', 405, '{"code":405,"message":"method POST is not allowed, but [GET] are"}'],
  ['DELETE', '/v1/cluster', 405, '{"code":405,"message":"method DELETE is not allowed, but [GET] are"}'],
])('%s %s is answered with %i and the reason', async (method, path, status, body) => {
  const answer = await send(method, path);
  expect(answer).toMatchObject({ status, body });
  expect(answer.headers).toMatchObject({ 'content-type': expect.stringMatching(/^application\/json/), connection: 'close' });
});

test.each(['application/json', 'text/strange'])('a request body of type %s is not read', async (type) => {
  expect((await send('PUT', '/v1/cluster', '{', type)).status).toBe(405);
});
