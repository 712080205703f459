/**
 * A temporary etcd of our own, on a random port of the loopback interface: while
 * authentication is disabled, every client has full access.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { MAX_ETCD_OUTPUT_CHARACTERS } from '../shared/limits.ts';
import type { Logger } from '../shared/process/log.ts';
import { EtcdStartError } from './errors.ts';
import { GUARD_SCRIPT, guardMessage } from './guard.ts';

export interface OwnEtcdOptions {
  readonly dataDir: string;
  /** etcd's `--name`. */
  readonly name: string;
  /** Where clients reach this member later. */
  readonly clientUrl: string;
  /** Where other members reach this member later. */
  readonly peerUrl: string;
  readonly cluster: NewCluster | ExistingCluster;
  readonly log: Logger;
}

/** A cluster of this member alone. Its ID follows from the token and the peer URL. */
export interface NewCluster {
  readonly state: 'new';
  readonly token: string;
}

/** This member has been added to a cluster. */
export interface ExistingCluster {
  readonly state: 'existing';
  /** All members, with this one, as etcd's `--initial-cluster`. Without effect where the data directory has a write-ahead log. */
  readonly members: string;
  readonly listenPeerUrl: string;
  /** Flags of TLS between members. */
  readonly peerFlags: readonly string[];
}

/** How etcd exited; `undefined` for both if unknown. */
export interface EtcdEnd {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

/** The one in the PATH, and where the images of the field have it. */
const CANDIDATES = ['etcd', '/usr/bin/etcd'];

export class OwnEtcd {
  readonly endpoint: string;
  /** Settles when etcd has exited for any reason. Never rejects. */
  readonly ended: Promise<EtcdEnd>;
  readonly #guard: ChildProcess;
  #output = '';
  #pid: number | undefined;

  private constructor(port: number, guard: ChildProcess, log: Logger) {
    this.endpoint = `http://127.0.0.1:${port}`;
    this.#guard = guard;
    this.ended = this.#follow();
    const keep = (chunk: Buffer) => {
      const text = chunk.toString();
      this.#output = (this.#output + text).slice(-MAX_ETCD_OUTPUT_CHARACTERS);
      log.debug({ output: text.trimEnd() }, 'etcd output');
    };
    guard.stdout?.on('data', keep);
    guard.stderr?.on('data', keep);
  }

  /** Resolves when etcd runs, which is before it serves. Rejects with EtcdStartError, or with the signal's reason. */
  static async start(options: OwnEtcdOptions, signal: AbortSignal): Promise<OwnEtcd> {
    const port = await freePort();
    signal.throwIfAborted();
    const args = ['--eval', GUARD_SCRIPT, '--', JSON.stringify(CANDIDATES), ...etcdArguments(options, port)];
    const guard = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    const etcd = new OwnEtcd(port, guard, options.log);
    try {
      await etcd.#whenStarted();
      return etcd;
    } catch (thrown) {
      await etcd.kill();
      throw thrown;
    }
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  /** The last line that etcd wrote. */
  get lastWords(): string {
    return this.#output.trimEnd().split('\n').at(-1) ?? '';
  }

  /** SIGTERM: etcd is to end in order. */
  terminate(): void {
    this.#send('SIGTERM');
  }

  /** Resolves when etcd is gone. Idempotent. */
  async kill(): Promise<void> {
    this.#send('SIGKILL');
    await this.ended;
  }

  #send(signal: NodeJS.Signals): void {
    if (this.#guard.connected) this.#guard.send(signal, () => undefined);
  }

  #whenStarted(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#guard.on('message', (thrown: unknown) => {
        const message = guardMessage(thrown);
        if (message?.kind === 'failed') reject(new EtcdStartError(message.reason));
        if (message?.kind !== 'started') return;
        this.#pid = message.pid;
        resolve();
      });
      this.#guard.once('error', (error) => reject(new EtcdStartError(error.message)));
      void this.ended.then(() => reject(new EtcdStartError('its guard process exited')));
    });
  }

  #follow(): Promise<EtcdEnd> {
    return new Promise((resolve) => {
      let end: EtcdEnd = { code: undefined, signal: undefined };
      this.#guard.on('message', (received: unknown) => {
        const message = guardMessage(received);
        if (message?.kind === 'ended') end = { code: message.code ?? undefined, signal: message.signal ?? undefined };
      });
      this.#guard.once('error', () => resolve(end));
      // Not `exit`: etcd has the same pipes, so that they close only when it has exited too.
      this.#guard.once('close', () => resolve(end));
      this.#guard.once('exit', () => {
        if (end.code === undefined && end.signal === undefined) this.#killOrphan();
      });
    });
  }

  /** The guard was killed. */
  #killOrphan(): void {
    if (this.#pid === undefined) return;
    try {
      process.kill(this.#pid, 'SIGKILL');
    } catch {
      // It is gone already.
    }
  }
}

function etcdArguments({ dataDir, name, clientUrl, peerUrl, cluster }: OwnEtcdOptions, port: number): readonly string[] {
  return [
    `--data-dir=${dataDir}`,
    `--name=${name}`,
    `--listen-client-urls=http://127.0.0.1:${port}`,
    `--advertise-client-urls=${clientUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster-state=${cluster.state}`,
    ...(cluster.state === 'new'
      ? [
          '--listen-peer-urls=http://127.0.0.1:0',
          `--initial-cluster=${name}=${peerUrl}`,
          `--initial-cluster-token=${cluster.token}`,
        ]
      : [
          `--listen-peer-urls=${cluster.listenPeerUrl}`,
          `--initial-cluster=${cluster.members}`,
          // No quota: with a lower one than the others have, this member would raise the alarm NOSPACE for all.
          '--quota-backend-bytes=-1',
          ...cluster.peerFlags,
        ]),
  ];
}

/** A port that is free now. If another process takes it first, etcd reports that and exits. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error) => reject(new EtcdStartError(error.message)));
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' ? address?.port : undefined;
      probe.close(() => (port === undefined ? reject(new EtcdStartError('no free port')) : resolve(port)));
    });
  });
}
