/** Commands in Pods and ports of Pods, with an API server that answers as a test says. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { test as base, describe, expect } from 'vitest';
import type { Cluster } from '../../../src/mesh/cluster.ts';
import {
  ContainerNotRunningError,
  PodCommandError,
  PodForbiddenError,
  PodMissingError,
  PodOutputError,
  PodStreamError,
  PodTimeoutError,
} from '../../../src/mesh/errors.ts';
import { type ExecResult, execInPod, streamFromPod } from '../../../src/mesh/pod/exec.ts';
import { forwardPort } from '../../../src/mesh/pod/port-forward.ts';
import { KubeDecodeError } from '../../../src/shared/kubernetes/errors.ts';
import { until } from '../../support/until.ts';
import { FakePodServer, type PodSocket, serverFrame } from './fake-pod-server.ts';

const test = base.extend<{ server: FakePodServer; cluster: Cluster }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest looks at the pattern for the fixtures it has to prepare
  server: async ({}, use) => {
    await using server = await FakePodServer.start();
    await use(server);
  },
  cluster: async ({ server }, use) => {
    await using cluster = await server.cluster();
    await use(cluster);
  },
});

const COMMAND = { pod: 'mesh-0', container: 'kvstoremesh', command: ['clustermesh-apiserver', 'a b', '--x=ü'] };
const { signal } = new AbortController();
const [STDOUT, STDERR, STATUS] = [1, 2, 3];

function run(
  cluster: Cluster,
  options: { timeoutMs?: number; maxBytes?: number; signal?: AbortSignal } = {},
): Promise<ExecResult> {
  return execInPod(cluster, COMMAND, { signal, timeoutMs: 60_000, maxBytes: 1_000_000, ...options });
}

function failure(message: string, more: object = {}): string {
  return JSON.stringify({ status: 'Failure', message, ...more });
}

describe('a command', () => {
  test('gives both outputs and its status; messages come in frames of any size', async ({ server, cluster }) => {
    const long = 'x'.repeat(200_000);
    server.answer = (socket) => {
      socket.raw(serverFrame(0x89, Buffer.from('ping')));
      socket.send(STDOUT, '');
      socket.send(STDOUT, 'first ');
      socket.send(STDERR, 'a warning');
      socket.send(STDOUT, long, 7);
      const exit = { reason: 'NonZeroExitCode', details: { causes: [{ reason: 'ExitCode', message: '3' }] } };
      socket.send(STATUS, failure('command terminated with exit code 3', exit));
    };
    expect(await run(cluster)).toEqual({ stdout: `first ${long}`, stderr: 'a warning', status: 3 });
    const { searchParams, pathname } = new URL(server.requests[0]?.url ?? '', 'http://server');
    expect(pathname).toBe('/api/v1/namespaces/kube-system/pods/mesh-0/exec');
    expect(searchParams.getAll('command')).toEqual(COMMAND.command);
    expect(searchParams.get('container')).toBe('kvstoremesh');
  });

  const refusals = [
    ['RBAC denies it', 403, failure('pods "mesh-0" is forbidden'), PodForbiddenError, 'get and create of pods/exec'],
    ['the Pod does not exist', 404, failure('pods "mesh-0" not found'), PodMissingError, 'does not exist'],
    [
      'the container does not exist',
      400,
      failure('container kvstoremesh is not valid for pod mesh-0'),
      ContainerNotRunningError,
      'describe pod',
    ],
    [
      'the kubelet says that it is not running',
      500,
      'container not found ("kvstoremesh")',
      ContainerNotRunningError,
      'describe pod',
    ],
  ] as const;
  for (const [name, status, body, error, remedy] of refusals) {
    test(`fails with its cause if ${name}`, async ({ server, cluster }) => {
      server.refusal = { status, body };
      const thrown = await run(cluster).catch((reason: unknown) => reason);
      expect(thrown).toBeInstanceOf(error);
      expect(String(thrown)).toContain(remedy);
    });
  }

  const failures = [
    ['container not found ("kvstoremesh")', ContainerNotRunningError],
    ['exec: "clustermesh-apiserver": executable file not found in $PATH: unknown', PodCommandError],
  ] as const;
  for (const [message, error] of failures) {
    test(`fails with its cause if the status says: ${message}`, async ({ server, cluster }) => {
      server.answer = (socket) => socket.send(STATUS, failure(message, { reason: 'InternalError' }));
      await expect(run(cluster)).rejects.toBeInstanceOf(error);
    });
  }

  test('that prints too much, takes too long or is interrupted ends, and so does its connection', async ({ server, cluster }) => {
    let opened: PodSocket | undefined;
    server.answer = (socket) => {
      opened = socket;
      socket.send(STDOUT, 'x'.repeat(2_000));
    };
    const isClosed = () => until('the connection is closed', () => opened?.isClosed);
    await expect(run(cluster, { maxBytes: 1_000 })).rejects.toBeInstanceOf(PodOutputError);
    await isClosed();
    await expect(run(cluster, { timeoutMs: 100 })).rejects.toBeInstanceOf(PodTimeoutError);
    await isClosed();
    const interruption = new AbortController();
    const running = run(cluster, { signal: interruption.signal });
    await until('the command runs', () => opened?.isClosed === false);
    interruption.abort(new Error('interrupted'));
    await expect(running).rejects.toThrow('interrupted');
    await isClosed();
  });

  test('whose connection ends early has no result', async ({ server, cluster }) => {
    server.answer = (socket) => socket.raw(serverFrame(0x88, Buffer.alloc(0)));
    await expect(run(cluster)).rejects.toBeInstanceOf(PodStreamError);
    server.answer = (socket) => socket.cut();
    await expect(run(cluster)).rejects.toThrow(/context .*: /);
  });

  test('gets an answer that no WebSocket has, and fails', async ({ server, cluster }) => {
    for (const bytes of [
      serverFrame(0xc2, Buffer.of(1)),
      Buffer.of(0x82, 0x81, 0, 0, 0, 0, 1),
      Buffer.of(0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0),
    ]) {
      server.answer = (socket) => socket.raw(bytes);
      const thrown = await run(cluster).catch((reason: unknown) => reason);
      expect((thrown as Error).cause).toBeInstanceOf(KubeDecodeError);
    }
  });

  test('prints while it runs, and ends when nothing reads it any more', async ({ server, cluster }) => {
    let opened: PodSocket | undefined;
    server.answer = (socket, url) => {
      opened = socket;
      socket.send(STDOUT, `stdin=${url.searchParams.get('stdin')}`);
    };
    for await (const { stream, bytes } of streamFromPod(cluster, { ...COMMAND, hasInput: true }, signal)) {
      expect([stream, String(bytes)]).toEqual(['stdout', 'stdin=true']);
      break;
    }
    await until('the connection is closed', () => opened?.isClosed);
  });
});

describe('a port', () => {
  const PORT = Buffer.of(0xa1, 0x26);
  const TARGET = { pod: 'mesh-0', port: 9889 };

  /** Announces the port on both streams, as the kubelet does. */
  function announce(socket: PodSocket): void {
    socket.send(0, PORT);
    socket.send(1, PORT);
  }

  test('carries bytes both ways, for several connections at once', async ({ server, cluster }) => {
    const sockets: PodSocket[] = [];
    server.answer = (socket) => {
      sockets.push(socket);
      announce(socket);
    };
    const forwarded = await forwardPort(cluster, TARGET, signal);
    const clients = [0, 1].map(() => connect(forwarded.port, '127.0.0.1'));
    for (const [index, client] of clients.entries()) client.write(`from ${index} ${'x'.repeat(300_000)}`);
    const sent = () => sockets.slice(1).map(({ received }) => String(Buffer.concat(received.map((part) => part.subarray(1)))));
    const expected = [0, 1].map((index) => `from ${index} ${'x'.repeat(300_000)}`);
    await until('the Pod has both', () => JSON.stringify(sent().sort()) === JSON.stringify(expected));
    for (const socket of sockets.slice(1)) {
      expect(new Set(socket.received.map(([stream]) => stream))).toEqual(new Set([0]));
      socket.send(0, 'an answer');
      socket.raw(serverFrame(0x88, Buffer.alloc(0)));
    }
    expect(await Promise.all(clients.map((client) => text(client)))).toEqual(['an answer', 'an answer']);
    await forwarded.close();
  });

  test('that refuses a connection ends it and tells why; later ones work', async ({ server, cluster }) => {
    const failures: Error[] = [];
    server.answer = announce;
    const forwarded = await forwardPort(cluster, { ...TARGET, onFailure: (error) => failures.push(error) }, signal);
    server.answer = (socket) => {
      announce(socket);
      socket.send(1, 'dial tcp4 127.0.0.1:9889: connect: connection refused\n');
    };
    const refused = connect(forwarded.port, '127.0.0.1');
    await once(refused, 'close');
    expect(failures).toEqual([expect.any(PodStreamError)]);
    expect(failures[0]?.message).toContain('port 9889 of Pod kube-system/mesh-0: dial tcp4');
    server.answer = (socket) => {
      announce(socket);
      socket.send(0, 'hello');
    };
    const client = connect(forwarded.port, '127.0.0.1');
    expect(String((await once(client, 'data'))[0])).toBe('hello');
    await forwarded.close();
    await once(client, 'close');
    await expect(once(connect(forwarded.port, '127.0.0.1'), 'connect')).rejects.toThrow('ECONNREFUSED');
  });

  test('of a Pod that does not exist has no listener', async ({ server, cluster }) => {
    server.refusal = { status: 404, body: failure('pods "mesh-0" not found') };
    await expect(forwardPort(cluster, TARGET, signal)).rejects.toBeInstanceOf(PodMissingError);
  });
});
