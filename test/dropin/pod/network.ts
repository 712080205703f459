/** The networks of Pods, each of which reaches the Kubernetes API and the etcd of others, and nothing else. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../support/until.ts';

export interface Forward {
  readonly host: string;
  readonly port: number;
  /** The path of a Unix socket. */
  readonly socket: string;
}

export interface NetworkPlan {
  /** IPv4, of the Pod and of what it connects to. */
  readonly addresses: readonly string[];
  /** From an address of the network to a socket. */
  readonly inward: readonly Forward[];
  /** From a socket to an address of the network. */
  readonly outward: readonly Forward[];
}

/** Sockets outside of all networks. */
export class Sockets implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'sockets-'));
  readonly #closing: (() => void)[] = [];

  path(name: string): string {
    return join(this.#directory, name);
  }

  /** The path of a socket that leads to `port` of this machine. */
  async toPort(name: string, port: number): Promise<string> {
    const server = createServer((socket) => {
      const other = connect(port, '127.0.0.1');
      socket.pipe(other).pipe(socket);
      socket.on('error', () => other.destroy()).on('close', () => other.destroy());
      other.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    });
    const path = this.path(name);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    this.#closing.push(() => server.close());
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closing) close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A network, alive as long as its process. */
export class Network implements Disposable {
  readonly pid: number;
  readonly #kill: () => void;

  private constructor(pid: number, kill: () => void) {
    this.pid = pid;
    this.#kill = kill;
  }

  static async start(plan: NetworkPlan): Promise<Network> {
    const main = join(import.meta.dirname, 'network-main.ts');
    const child = spawn('unshare', ['--net', process.execPath, main, JSON.stringify(plan)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
    const network = new Network(child.pid ?? 0, () => child.kill('SIGKILL'));
    await until('the network is there', () => output.includes('ready'), { status: () => output });
    return network;
  }

  [Symbol.dispose](): void {
    this.#kill();
  }
}
