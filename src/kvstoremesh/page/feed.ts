/**
 * The state of the mesh for the status page: as a whole, and for each open page what has changed.
 *
 * All pages share one state, which is read at most once per interval. Each remote has the version at which it changed last;
 * a page gets those that are newer than what it got before.
 */
import { type EventReader, eventText } from '../../shared/http/event-stream.ts';
import { sliced } from '../../shared/http/in-slices.ts';
import type { Clock } from '../../shared/time/clock.ts';
import type { RemoteCluster } from '../remote/cluster.ts';
import { remoteClusterStatuses } from '../status/status.ts';
import type { MeshHistory } from './history.ts';
import { PAGE_STREAM_INTERVAL_MS } from './limits.ts';
import type { MeshSummary, RemoteDetail, RemoteSummary, RemotesUpdate, Snapshot } from './snapshot.ts';
import { type ConnectionCertificates, drainingSummary, remoteDetail, remoteSummary, type SummaryContext } from './summary.ts';

/** What the page shows, as it is at the time of the call. */
export interface PageSource {
  mesh(): MeshSummary;
  /** By name. */
  remotes(): readonly RemoteCluster[];
  draining(): readonly string[];
  certificatesOf(cluster: string): ConnectionCertificates;
}

interface Kept {
  readonly summary: RemoteSummary;
  readonly text: string;
  readonly version: number;
}

export class PageFeed {
  readonly #source: PageSource;
  readonly #history: MeshHistory;
  readonly #clock: Clock;
  #kept: ReadonlyMap<string, Kept> = new Map();
  #version = 0;
  /** When a remote was added or removed last. */
  #namesVersion = 0;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #refreshing: Promise<void> | undefined;

  constructor(source: PageSource, history: MeshHistory, clock: Clock) {
    this.#source = source;
    this.#history = history;
    this.#clock = clock;
  }

  async snapshot(): Promise<Snapshot> {
    await this.#refreshOnce();
    return { mesh: this.#source.mesh(), remotes: [...this.#kept.values()].map(({ summary }) => summary) };
  }

  /** `cluster`: the remote whose details are read too, which need not exist. */
  reader(cluster: string | undefined): EventReader {
    const sent = { mesh: '', detail: '', version: -1 };
    const changed = (part: 'mesh' | 'detail', data: MeshSummary | RemoteDetail) => {
      const text = eventText(part, data);
      if (text === sent[part]) return '';
      sent[part] = text;
      return text;
    };
    const read = async () => {
      await this.#refreshOnce();
      const parts = [changed('mesh', this.#source.mesh())];
      const update = this.#since(sent.version);
      if (update !== undefined) parts.push(eventText('remotes', update));
      sent.version = this.#version;
      const detail = cluster === undefined ? undefined : this.#detail(cluster);
      if (detail !== undefined) parts.push(changed('detail', detail));
      return parts.join('');
    };
    return { read };
  }

  #since(version: number): RemotesUpdate | undefined {
    const changed = [...this.#kept.values()].filter((kept) => kept.version > version).map(({ summary }) => summary);
    const names = this.#namesVersion > version || version < 0 ? { names: [...this.#kept.keys()] } : {};
    return changed.length === 0 && !('names' in names) ? undefined : { ...names, changed };
  }

  #detail(cluster: string): RemoteDetail | undefined {
    if (!this.#kept.has(cluster)) return undefined;
    const remote = this.#source.remotes().find(({ name }) => name === cluster);
    return remoteDetail(cluster, remote, this.#contextOf(cluster));
  }

  #contextOf(cluster: string): SummaryContext {
    const certificates = this.#source.certificatesOf(cluster);
    return { record: this.#history.of(cluster), certificates, nowMs: this.#clock.nowMs() };
  }

  /** Callers share a reading, and one of less than half an interval ago. */
  async #refreshOnce(): Promise<void> {
    if (this.#clock.monotonicMs() - this.#refreshedMs < PAGE_STREAM_INTERVAL_MS / 2) return;
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    await this.#refreshing;
  }

  async #refresh(): Promise<void> {
    const version = this.#version + 1;
    const found = new Map<string, Kept>();
    const turn = sliced();
    for (const summary of this.#summaries()) {
      const text = JSON.stringify(summary);
      const before = this.#kept.get(summary.name);
      found.set(summary.name, before?.text === text ? before : { summary, text, version });
      await turn();
    }
    const isSame = found.size === this.#kept.size && [...found.keys()].every((name) => this.#kept.has(name));
    const hasChanged = !isSame || [...found.values()].some((kept) => kept.version === version);
    if (!isSame) this.#namesVersion = version;
    if (hasChanged) this.#version = version;
    this.#kept = found;
    this.#refreshedMs = this.#clock.monotonicMs();
  }

  /** Of all remotes, those that are draining last. */
  *#summaries(): Generator<RemoteSummary> {
    const remotes = this.#source.remotes();
    let index = 0;
    for (const status of remoteClusterStatuses(remotes)) {
      const remote = remotes[index] as RemoteCluster;
      index += 1;
      yield remoteSummary(remote, status, this.#contextOf(remote.name));
    }
    for (const name of this.#source.draining()) yield drainingSummary(name, this.#history.of(name), this.#clock.nowMs());
  }
}
