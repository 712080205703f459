/** The page over a mesh that a test makes up: for states and sizes that real clusters would take long to get into. */
import { parseClusterConfig } from '../../../src/kvstoremesh/cluster-config.ts';
import type { Quarantine } from '../../../src/kvstoremesh/configuration/quarantine.ts';
import type { PageSource } from '../../../src/kvstoremesh/page/feed.ts';
import { MeshHistory } from '../../../src/kvstoremesh/page/history.ts';
import { statusPage } from '../../../src/kvstoremesh/page/page.ts';
import type { MeshSummary } from '../../../src/kvstoremesh/page/snapshot.ts';
import type { RemoteCluster } from '../../../src/kvstoremesh/remote/cluster.ts';
import { INITIAL_STATE, type RemotePhase, type RemoteState } from '../../../src/kvstoremesh/remote/state.ts';
import { type HttpServer, serveJson } from '../../../src/shared/http/server.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';

const KINDS = ['nodes', 'identities', 'endpoints', 'services', 'endpoint slices', 'service exports'];

export interface FakeRemote {
  phase: RemotePhase;
  isReady: boolean;
  nodes: number;
  stalenessMs: number;
  changes: number;
  findings: Readonly<Record<string, number>>;
  serverExpires?: number;
  quarantine?: Quarantine;
}

const CONFIG = parseClusterConfig(Buffer.from(JSON.stringify({ id: 7, capabilities: { syncedCanaries: true } })));

function mirroring(): RemotePhase {
  return { kind: 'mirroring', etcdClusterId: 'c0ffee', config: CONFIG, reason: undefined };
}

/** A cluster that cannot be reached gives no answer. */
export function phase(kind: 'connecting' | 'waiting' | 'refused' | 'stopped', reason: string | undefined): RemotePhase {
  const check = kind === 'connecting' && reason !== undefined ? 'tcp-silent' : undefined;
  return { kind, etcdClusterId: 'c0ffee', config: CONFIG, bound: 'keys', reason, check } as unknown as RemotePhase;
}

export class FakeMesh implements AsyncDisposable {
  readonly history = new MeshHistory(systemClock);
  readonly remotes = new Map<string, FakeRemote>();
  readonly draining = new Set<string>();
  mesh: MeshSummary = {
    name: 'harbor',
    id: 200,
    version: '0.1.0',
    host: 'clustermesh-apiserver-5d9c7b6f48-x2k4q',
    role: 'leader',
    leader: 'cilium/kvstoremesh-lock/5f2a61c0',
    problems: [],
    importGuard: 'warn',
    sampleMs: 30_000,
  };
  readonly #stop = new AbortController();
  #server: HttpServer | undefined;

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  get port(): number {
    return this.#server?.port ?? 0;
  }

  /** Adds a cluster that is mirrored, or as `parts` say. */
  add(name: string, parts: Partial<FakeRemote> = {}): FakeRemote {
    const remote = { phase: mirroring(), isReady: true, nodes: 3, stalenessMs: 800, changes: 0, findings: {}, ...parts };
    this.remotes.set(name, remote);
    this.history.news(name, { kind: 'added' });
    return remote;
  }

  /** The cluster is as `parts` say from now on. */
  change(name: string, parts: Partial<FakeRemote>): void {
    Object.assign(this.remotes.get(name) ?? {}, parts);
  }

  /** One sample of each cluster, as every half minute. */
  sample(monotonicMs: number): void {
    for (const [name, { changes, stalenessMs }] of this.remotes)
      this.history.of(name).sample({ name, createdMs: 0, stalenessMs, bounds: { changes } }, monotonicMs);
  }

  /** On that port, or any. */
  async start(port = 0): Promise<void> {
    const source: PageSource = {
      mesh: () => this.mesh,
      remotes: () => [...this.remotes].map(([name, fake]) => remoteOf(name, fake)),
      draining: () => [...this.draining],
      certificatesOf: (name) => ({ files: new Map(), server: this.remotes.get(name)?.serverExpires }),
    };
    const { files, resources, streams } = statusPage(source, this.history, systemClock);
    const listen = { address: { host: '127.0.0.1', port }, flag: 'api-serve-addr', signal: this.#stop.signal };
    this.#server = await serveJson(resources, { ...listen, files, streams });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#server?.close();
  }
}

/** The parts of a remote that the page reads. */
function remoteOf(name: string, fake: FakeRemote): RemoteCluster {
  const { phase: now, isReady, nodes, stalenessMs, changes, findings } = fake;
  const quarantine = { current: fake.quarantine };
  const state: RemoteState = { ...INITIAL_STATE, phase: now };
  const mirrors = KINDS.map((kind, index) => {
    const count = nodes * (index + 1);
    return { mapping: { name: kind }, count, enabled: true, listed: isReady, problem: undefined };
  });
  const guard = { findings: { count: (kind: string) => findings[kind] ?? 0, [Symbol.iterator]: () => [][Symbol.iterator]() } };
  const held = { keys: nodes * 21, bytes: nodes * 9_000 };
  const parts = {
    name,
    state,
    isReady,
    mirrors,
    guard,
    held,
    stalenessMs,
    endpoints: 1,
    bounds: { changes },
    createdMs: 0,
    quarantine,
  };
  return parts as unknown as RemoteCluster;
}
