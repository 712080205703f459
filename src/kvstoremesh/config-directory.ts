/**
 * The directory with one etcd configuration file per remote cluster, followed live.
 *
 * Each burst of events makes everything be read again and compared by digests; a file that is gone is looked
 * for once more before its cluster is.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../shared/clock.ts';
import { clusterNameProblem } from '../shared/cluster-info.ts';
import { DirectoryEvents } from '../shared/directory-events.ts';
import { asError, isAbort, ProgramError } from '../shared/errors.ts';
import { MAX_CONFIG_FILE_BYTES, MAX_REMOTE_CLUSTERS } from '../shared/limits.ts';
import type { Logger } from '../shared/log.ts';

export type ConfigChange =
  | { readonly kind: 'added'; readonly cluster: string; readonly path: string }
  | { readonly kind: 'changed'; readonly cluster: string; readonly path: string }
  | { readonly kind: 'removed'; readonly cluster: string };

export interface ConfigDirectoryOptions {
  readonly path: string;
  /** A file of this name is the local cluster's and is left alone. */
  readonly ownName: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Why the directory cannot be read, or undefined where it can again. */
  readonly onReadable?: (problem: string | undefined) => void;
  readonly timing?: ConfigDirectoryTiming;
}

export interface ConfigDirectoryTiming {
  /** No event for so long ends a burst. */
  readonly quietMs: number;
  /** A file that is gone is looked for again after this time. */
  readonly goneMs: number;
  /** Everything is read again at least this often. */
  readonly pollMs: number;
}

const DEFAULT_TIMING: ConfigDirectoryTiming = { quietMs: 100, goneMs: 1_000, pollMs: 10_000 };

/** The directory cannot be read when the daemon starts. */
export class ConfigDirectoryError extends ProgramError {
  readonly code = 'CONFIG_DIRECTORY';
  readonly retriable = false;
}

/** What makes a file a cluster's, and keeps certificates and notes beside it from being taken for one. */
const MARK = 'endpoints:';

/**
 * Yields what changed, batch after batch, until the signal is aborted. The first batch comes at once and
 * names every cluster there is, also when there is none. Throws ConfigDirectoryError where the directory
 * cannot be read at that moment; later on that is logged, and nothing counts as removed.
 */
export async function* watchConfigDirectory(options: ConfigDirectoryOptions): AsyncGenerator<readonly ConfigChange[]> {
  const { path, clock, signal, timing = DEFAULT_TIMING } = options;
  const scan = new Scan(options, timing.goneMs);
  const events = new DirectoryEvents(path, clock);
  try {
    events.arm();
    yield await scan.first();
    while (!signal.aborted) {
      await events.burst(scan.hasMissing ? timing.goneMs : timing.pollMs, timing.quietMs, signal);
      events.arm();
      const changes = await scan.next();
      if (changes.length > 0) yield changes;
    }
  } catch (thrown) {
    if (!isAbort(thrown, signal)) throw thrown;
  } finally {
    events.disarm();
  }
}

/** Compares what the directory holds with what it held. */
class Scan {
  readonly #options: ConfigDirectoryOptions;
  readonly #digests = new Map<string, string>();
  readonly #reported = new Map<string, string>();
  /** Since when a cluster's file is not there. */
  readonly #missing = new Map<string, number>();
  readonly #goneMs: number;
  #unreadable = false;

  constructor(options: ConfigDirectoryOptions, goneMs: number) {
    this.#options = options;
    this.#goneMs = goneMs;
  }

  /** A cluster's file was not there the last time; a later scan decides. */
  get hasMissing(): boolean {
    return this.#missing.size > 0;
  }

  async first(): Promise<readonly ConfigChange[]> {
    const { path } = this.#options;
    if (path === '') throw new ConfigDirectoryError('flag --clustermesh-config: a directory is needed');
    try {
      return await this.#compare();
    } catch (thrown) {
      const { message } = asError(thrown);
      throw new ConfigDirectoryError(`flag --clustermesh-config: ${path} cannot be read (${message}); mount or create it`);
    }
  }

  async next(): Promise<readonly ConfigChange[]> {
    const { path, log, onReadable } = this.#options;
    try {
      const changes = await this.#compare();
      if (this.#unreadable) log.info({ path }, 'the configuration directory can be read again');
      onReadable?.(undefined);
      this.#unreadable = false;
      return changes;
    } catch (thrown) {
      const { message: error } = asError(thrown);
      onReadable?.(error);
      if (!this.#unreadable) {
        log.error({ path, error }, 'the configuration directory cannot be read; all clusters stay');
      }
      this.#unreadable = true;
      return [];
    }
  }

  async #compare(): Promise<readonly ConfigChange[]> {
    const found = await this.#read();
    const changes: ConfigChange[] = [];
    for (const [cluster, digest] of found) {
      const known = this.#digests.get(cluster);
      if (known === digest) continue;
      changes.push({ kind: known === undefined ? 'added' : 'changed', cluster, path: join(this.#options.path, cluster) });
      this.#digests.set(cluster, digest);
    }
    const nowMs = this.#options.clock.monotonicMs();
    for (const cluster of this.#digests.keys()) {
      const sinceMs = this.#missing.get(cluster);
      if (found.has(cluster)) this.#missing.delete(cluster);
      else if (sinceMs === undefined) this.#missing.set(cluster, nowMs);
      else if (nowMs - sinceMs >= this.#goneMs) {
        changes.push({ kind: 'removed', cluster });
        this.#digests.delete(cluster);
        this.#missing.delete(cluster);
      }
    }
    return changes;
  }

  /** The digest of every cluster's file. */
  async #read(): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    const seen = new Set<string>();
    for (const name of (await readdir(this.#options.path)).sort()) {
      const content = await this.#content(name);
      if (content === undefined) continue;
      seen.add(name);
      if (this.#isCluster(name, found.size)) found.set(name, createHash('sha256').update(content).digest('hex'));
    }
    for (const name of this.#reported.keys()) if (!seen.has(name)) this.#reported.delete(name);
    return found;
  }

  /** The content of a file that looks like a cluster's. Undefined for directories, and for files that went meanwhile. */
  async #content(name: string): Promise<Buffer | undefined> {
    const path = join(this.#options.path, name);
    try {
      const status = await stat(path);
      if (!status.isFile()) return undefined;
      // A file that is too large to be read is taken for a cluster's, so that somebody is told of it.
      const isTooLarge = status.size > MAX_CONFIG_FILE_BYTES;
      const content = isTooLarge ? Buffer.from(`${MARK} ${status.size}`) : await readFile(path);
      return content.includes(MARK) ? content : undefined;
    } catch (thrown) {
      this.#options.log.debug({ name, error: asError(thrown).message }, 'skipped a file of the configuration directory');
      return undefined;
    }
  }

  #isCluster(name: string, before: number): boolean {
    const { ownName } = this.#options;
    if (name === ownName) return this.#report(name, 'this is the local cluster', 'debug');
    const problem = clusterNameProblem(name);
    if (problem !== undefined) return this.#report(name, `${problem}; rename the entry to the name of its cluster`, 'error');
    if (before >= MAX_REMOTE_CLUSTERS) return this.#report(name, `there are more than ${MAX_REMOTE_CLUSTERS} clusters`, 'error');
    this.#reported.delete(name);
    return true;
  }

  /** Says once per file and reason why it is left alone. */
  #report(name: string, reason: string, level: 'debug' | 'error'): false {
    if (this.#reported.get(name) !== reason) {
      this.#options.log[level]({ cluster: name, reason }, 'a file of the configuration directory is no remote cluster');
    }
    this.#reported.set(name, reason);
    return false;
  }
}
