/** Ways to an etcd that can be interrupted. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTcpProxy } from '../../test/support/network/tcp-proxy.ts';
import { etcdBinary } from '../etcd.ts';

export interface InterruptibleLink {
  readonly endpoint: string;
  interrupt(): void | Promise<void>;
  heal(): void | Promise<void>;
}

export interface Links extends AsyncDisposable {
  readonly links: readonly InterruptibleLink[];
  /** The address at which the etcd behind them is always reachable. */
  readonly endpoint: string;
}

/** Connections are reset, and new ones refused. */
export function refused(etcdPort: number, count: number): Promise<Links> {
  return proxied(etcdPort, count, async (proxy) => {
    await proxy.disconnect();
  });
}

/** Connections stay open and new ones are accepted, but no data passes: as with a balancer whose backend hangs. */
export function silent(etcdPort: number, count: number): Promise<Links> {
  return proxied(etcdPort, count, (proxy) => proxy.blackHole());
}

type Proxy = Awaited<ReturnType<typeof startTcpProxy>>;

async function proxied(etcdPort: number, count: number, interrupt: (proxy: Proxy) => void | Promise<void>): Promise<Links> {
  const proxies = await Promise.all(Array.from({ length: count }, () => startTcpProxy(etcdPort)));
  return {
    endpoint: `http://127.0.0.1:${etcdPort}`,
    links: proxies.map((proxy) => ({
      endpoint: proxy.endpoint,
      interrupt: () => interrupt(proxy),
      heal: () => proxy.heal(),
    })),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(proxies.map((proxy) => proxy.stop()));
    },
  };
}

const SPACE = 'bench-etcd';
const HOST = '10.213.0.1';
const addressOf = (index: number) => `10.213.0.${index + 10}`;
const ip = (...words: readonly string[]) => execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });
/** Of a run that was killed. */
const remove = (...words: readonly string[]) => {
  try {
    ip(...words);
  } catch {
    // There is none.
  }
};
const inside = (...words: readonly string[]) => ip('-n', SPACE, ...words);

/**
 * Packets are dropped, of open connections and of attempts: an etcd in a network namespace that no longer answers from some of
 * its addresses. Requires root, on Linux.
 */
export async function dropped(count: number): Promise<Links> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-etcd-'));
  remove('link', 'del', 'bench-host');
  remove('netns', 'del', SPACE);
  ip('netns', 'add', SPACE);
  ip('link', 'add', 'bench-host', 'type', 'veth', 'peer', 'name', 'bench-etcd', 'netns', SPACE);
  ip('addr', 'add', `${HOST}/24`, 'dev', 'bench-host');
  ip('link', 'set', 'bench-host', 'up');
  for (let at = -1; at < count; at += 1) inside('addr', 'add', `${addressOf(at)}/24`, 'dev', 'bench-etcd');
  inside('link', 'set', 'bench-etcd', 'up');
  inside('link', 'set', 'lo', 'up');
  const urls = ['--listen-client-urls', 'http://0.0.0.0:2379', '--advertise-client-urls', 'http://127.0.0.1:2379'];
  const words = ['netns', 'exec', SPACE, etcdBinary(), '--data-dir', directory, '--unsafe-no-fsync', ...urls];
  const child = spawn('ip', [...words, '--log-level', 'error'], { stdio: 'ignore' });
  return {
    endpoint: `http://${addressOf(-1)}:2379`,
    links: Array.from({ length: count }, (_, at) => ({
      endpoint: `http://${addressOf(at)}:2379`,
      interrupt: () => void inside('rule', 'add', 'from', addressOf(at), 'blackhole'),
      heal: () => void inside('rule', 'del', 'from', addressOf(at), 'blackhole'),
    })),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      ip('link', 'del', 'bench-host');
      ip('netns', 'del', SPACE);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
