/**
 * A simulated cilium-agent on the local etcd, as far as etcd notices it: for each remote cluster the heartbeat, the cluster
 * config, the canaries and four kinds of keys, each listed in pages and then watched. Agents have a connection for each remote
 * cluster, and all watches of a connection on one stream; they ask for no progress notifications and check no member.
 */
import { type ClientHttp2Session, connect } from 'node:http2';
import { keyOf } from '../../src/shared/etcd/types.ts';
import { exists, list, WatchStream } from './calls.ts';

/** What all agents of a process have done. */
export interface Counts {
  connections: number;
  watches: number;
  listedKeys: number;
  listedBytes: number;
  events: number;
  messages: number;
  canceled: number;
  /** Connections that ended by themselves, or calls that failed. */
  failures: number;
  /** Agents that have listed and watch everything. */
  synced: number;
}

export interface AgentOptions {
  readonly endpoint: string;
  readonly remotes: readonly string[];
  /** One connection for all remote clusters instead of one for each. */
  readonly isShared: boolean;
  readonly counts: Counts;
  /** Called with the bytes of each message with events. */
  readonly onEvents: (message: Buffer) => void;
}

const KINDS = ['nodes/v1', 'services/v1', 'ip/v1', 'identities/v1'];
/** A kind, the heartbeat, the canaries. */
const WATCHES = KINDS.length + 2;

export class Agent {
  readonly #options: AgentOptions;
  readonly #sessions = new Set<ClientHttp2Session>();
  #isStopped = false;

  constructor(options: AgentOptions) {
    this.#options = options;
  }

  /** Resolves when everything is listed and watched. */
  async start(): Promise<void> {
    const { remotes, isShared, counts } = this.#options;
    const shared = isShared ? this.#connect() : undefined;
    await Promise.all(remotes.map((remote) => this.#follow(remote, shared ?? this.#connect())));
    counts.synced += 1;
  }

  stop(): void {
    this.#isStopped = true;
    for (const session of this.#sessions) session.destroy();
  }

  #connect(): ClientHttp2Session {
    const { endpoint, counts } = this.#options;
    const session = connect(endpoint);
    this.#sessions.add(session);
    counts.connections += 1;
    session.on('error', () => undefined);
    session.once('close', () => {
      this.#sessions.delete(session);
      counts.connections -= 1;
      if (!this.#isStopped) counts.failures += 1;
    });
    return session;
  }

  async #follow(remote: string, session: ClientHttp2Session): Promise<void> {
    const { counts, onEvents } = this.#options;
    let created = 0;
    await new Promise<void>((resolve, reject) => {
      const stream = new WatchStream(session, {
        created: () => {
          created += 1;
          counts.watches += 1;
          if (created === WATCHES) resolve();
        },
        events: (count, message) => {
          counts.events += count;
          counts.messages += 1;
          onEvents(message);
        },
        canceled: () => {
          counts.canceled += 1;
          counts.watches -= 1;
        },
        ended: () => {
          counts.watches -= created;
          reject(new Error('the stream of watches ended'));
        },
      });
      this.#watchAll(remote, session, stream).catch(reject);
    });
  }

  async #watchAll(remote: string, session: ClientHttp2Session, stream: WatchStream): Promise<void> {
    await this.#listAndWatch(session, stream, 'cilium/.heartbeat');
    if (!(await exists(session, keyOf(`cilium/cluster-config/${remote}`)))) throw new Error(`no cluster config of ${remote}`);
    await this.#listAndWatch(session, stream, `cilium/synced/${remote}/`);
    await Promise.all(KINDS.map((kind) => this.#listAndWatch(session, stream, prefixOf(kind, remote))));
  }

  async #listAndWatch(session: ClientHttp2Session, stream: WatchStream, prefix: string): Promise<void> {
    const { counts } = this.#options;
    const { keys, bytes, revision } = await list(session, keyOf(prefix));
    counts.listedKeys += keys;
    counts.listedBytes += bytes;
    stream.create(keyOf(prefix), revision + 1);
  }
}

function prefixOf(kind: string, remote: string): string {
  return `cilium/cache/${kind}/${remote}/${kind === 'identities/v1' ? 'id/' : ''}`;
}
