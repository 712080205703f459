/**
 * A simulated cilium-agent on the local etcd, as far as etcd notices it: for each remote cluster the heartbeat, the cluster
 * config, the canaries and four kinds of keys, each listed in pages and then watched. Agents have a connection for each remote
 * cluster, and all watches of a connection on one stream; they ask for no progress notifications and check no member.
 */
import { type ClientHttp2Session, connect } from 'node:http2';
import { keyOf } from '../../src/shared/etcd/types.ts';
import { exists, list, type WatchPosition, WatchStream } from './calls.ts';

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
  /** Agents that watch everything again after all connections were lost. */
  resumed: number;
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
  #streams: WatchStream[] = [];
  #isCutting = false;

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

  /** Loses all connections, makes new ones and goes on with the watches, without a list. Resolves when everything is watched. */
  async resume(): Promise<void> {
    const { isShared, counts } = this.#options;
    const before = this.#streams.map(({ positions }) => positions);
    this.#streams = [];
    this.#isCutting = true;
    const closed = [...this.#sessions].map((session) => new Promise((resolve) => session.once('close', resolve)));
    for (const session of this.#sessions) session.destroy();
    await Promise.all(closed);
    this.#isCutting = false;
    const shared = isShared ? this.#connect() : undefined;
    await Promise.all(before.map((positions) => this.#watchAgain(positions, shared ?? this.#connect())));
    counts.resumed += 1;
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
      if (!this.#isCutting) counts.failures += 1;
    });
    return session;
  }

  #follow(remote: string, session: ClientHttp2Session): Promise<void> {
    return this.#watching(session, (stream) => this.#watchAll(remote, session, stream));
  }

  #watchAgain(positions: readonly WatchPosition[], session: ClientHttp2Session): Promise<void> {
    return this.#watching(session, async (stream) => {
      for (const position of positions) stream.create(position);
    });
  }

  /** Resolves when the server has created all watches that `create` asks for. */
  async #watching(session: ClientHttp2Session, create: (stream: WatchStream) => Promise<void>): Promise<void> {
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
      this.#streams.push(stream);
      create(stream).catch(reject);
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
    stream.create({ prefix: keyOf(prefix), startRevision: revision + 1 });
  }
}

function prefixOf(kind: string, remote: string): string {
  return `cilium/cache/${kind}/${remote}/${kind === 'identities/v1' ? 'id/' : ''}`;
}
