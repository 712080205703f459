/**
 * The directory with one etcd configuration file per remote cluster, followed live.
 *
 * After each burst of events all files are read again and compared by digests. Without an event, a poll reads only those whose
 * version, as the system has it, differs: there may be hundreds. A missing file is checked
 * once more before its cluster is removed. A file that exists but cannot be read is not missing: its cluster stays,
 * and so do all clusters while the directory cannot be read.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { clusterNameProblem } from '../../shared/cluster-info.ts';
import { isAbort, ProgramError } from '../../shared/errors.ts';
import { DirectoryEvents } from '../../shared/files/directory-events.ts';
import { MAX_REMOTE_CLUSTERS } from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { type ConfigFiles, errorNumberOf, NotAFileError, problemOf, systemFiles } from './config-files.ts';
import { type QuarantineChange, QuarantineFiles } from './quarantine.ts';

export type ConfigChange =
  | { readonly kind: 'added'; readonly cluster: string; readonly path: string }
  | { readonly kind: 'changed'; readonly cluster: string; readonly path: string }
  /** The file exists, or may exist, but cannot be read; it may be that of a cluster not named before. */
  | { readonly kind: 'unreadable'; readonly cluster: string; readonly path: string; readonly problem: string }
  /** It can be read again and is the same as before. */
  | { readonly kind: 'readable'; readonly cluster: string }
  | { readonly kind: 'removed'; readonly cluster: string }
  /** Precedes the other changes of its batch. */
  | QuarantineChange;

export interface ConfigDirectoryOptions {
  readonly path: string;
  /** A file of this name is the local cluster's and is left alone. */
  readonly ownName: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly timing?: ConfigDirectoryTiming;
  /** @default systemFiles */
  readonly files?: ConfigFiles;
}

export interface ConfigDirectoryTiming {
  /** No event for so long ends a burst. */
  readonly quietMs: number;
  /** A missing file is checked again after this time. */
  readonly goneMs: number;
  /** Everything is looked at again at least this often. */
  readonly pollMs: number;
}

const DEFAULT_TIMING: ConfigDirectoryTiming = { quietMs: 100, goneMs: 1_000, pollMs: 10_000 };

/** The configuration directory does not exist when the daemon starts. */
export class ConfigDirectoryError extends ProgramError {
  readonly code = 'CONFIG_DIRECTORY';
  readonly retriable = false;
}

/** Distinguishes a cluster's file from certificates and other files. */
const MARK = 'endpoints:';

/** In place of the digest of a file that was never read. */
const UNREAD = '';

export class ConfigDirectory {
  readonly #options: ConfigDirectoryOptions;
  readonly #timing: ConfigDirectoryTiming;
  readonly #files: ConfigFiles;
  readonly #quarantines: QuarantineFiles;
  readonly #digests = new Map<string, string>();
  /** Of files that were read: the version before that, and the digest, undefined where it is no cluster's file. */
  readonly #versions = new Map<string, { readonly version: string; readonly digest: string | undefined }>();
  /** The last reported problems of unreadable files. */
  readonly #unreadable = new Map<string, string>();
  /** Directories and the like, of no cluster that is known. */
  #others: ReadonlySet<string> = new Set();
  readonly #reported = new Map<string, string>();
  /** Since when a cluster's file is missing. */
  readonly #missing = new Map<string, number>();
  /** Why the directory itself cannot be read. */
  #problem: string | undefined;
  #wasRead = false;

  constructor(options: ConfigDirectoryOptions) {
    this.#options = options;
    this.#timing = options.timing ?? DEFAULT_TIMING;
    this.#files = options.files ?? systemFiles;
    this.#quarantines = new QuarantineFiles(this.#timing.goneMs);
  }

  /**
   * Yields what changed, batch after batch, until the signal is aborted. The first batch names every cluster there is,
   * also when there is none, and comes at once, or as soon as the directory can be read. Throws ConfigDirectoryError where
   * there is no such directory at that moment; later on that is logged, and nothing counts as removed.
   */
  async *changes(): AsyncGenerator<readonly ConfigChange[]> {
    const { path, clock, signal } = this.#options;
    const { quietMs, goneMs, pollMs } = this.#timing;
    const events = new DirectoryEvents(path, clock);
    try {
      for (let isFirst = true; !signal.aborted; isFirst = false) {
        events.arm();
        const wasRead = this.#wasRead;
        const found = await this.#scan(isFirst);
        if (found.length > 0 || wasRead !== this.#wasRead) yield found;
        const isWaiting = this.#missing.size > 0 || this.#quarantines.isWaiting;
        if (await events.burst(isWaiting ? goneMs : pollMs, quietMs, signal)) this.#versions.clear();
      }
    } catch (thrown) {
      if (!isAbort(thrown, signal)) throw thrown;
    } finally {
      events.disarm();
    }
  }

  /** Why the directory cannot be read at the moment; undefined where it can. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** The directory could be read once at least. */
  get wasRead(): boolean {
    return this.#wasRead;
  }

  /**
   * Keys of `cluster` were found, without a file. True if its file or the directory
   * cannot be read, so that a file may exist: the cluster then counts as one with an unreadable file, and a change reports it.
   */
  adopt(cluster: string): boolean {
    if (this.#problem === undefined && this.#wasRead && !this.#others.has(cluster)) return false;
    this.#digests.set(cluster, this.#digests.get(cluster) ?? UNREAD);
    return true;
  }

  async #scan(isFirst: boolean): Promise<readonly ConfigChange[]> {
    const { path, log } = this.#options;
    if (path === '') throw new ConfigDirectoryError('flag --clustermesh-config: a directory is required');
    try {
      const names = [...(await this.#files.list(path))].sort();
      const found = await this.#read(names);
      const read = (name: string) => this.#files.read(join(path, name));
      const quarantines = await this.#quarantines.changes(names, read, this.#options.clock.monotonicMs());
      if (this.#problem !== undefined) log.info({ path }, 'configuration directory readable again');
      this.#problem = undefined;
      this.#wasRead = true;
      return [...quarantines, ...this.#compare(found)];
    } catch (thrown) {
      const problem = problemOf(thrown);
      const isMissing = ['ENOENT', 'ENOTDIR'].includes(errorNumberOf(thrown) ?? '');
      if (isFirst && isMissing)
        throw new ConfigDirectoryError(`flag --clustermesh-config: ${path} cannot be read (${problem}); mount or create it`);
      if (this.#problem === undefined) {
        log.error({ path, error: problem }, 'cannot read the configuration directory; keeping all clusters');
      }
      this.#problem = problem;
      return this.#adopted(problem);
    }
  }

  /** The adopted clusters that were not reported yet, while the directory cannot be read. */
  #adopted(problem: string): readonly ConfigChange[] {
    return [...this.#digests]
      .filter(([cluster, digest]) => digest === UNREAD && !this.#unreadable.has(cluster))
      .map(([cluster]) => this.#cannotRead(cluster, `the directory cannot be read: ${problem}`));
  }

  #cannotRead(cluster: string, problem: string): ConfigChange {
    const path = join(this.#options.path, cluster);
    if (this.#unreadable.get(cluster) !== problem) {
      this.#options.log.error(
        { cluster, path, error: problem },
        'cannot read the configuration file of a cluster; keeping its last configuration',
      );
    }
    this.#unreadable.set(cluster, problem);
    return { kind: 'unreadable', cluster, path, problem };
  }

  /** `found`: the digest of every cluster's file, or what is wrong with it. */
  #compare(found: ReadonlyMap<string, string | { readonly problem: string }>): readonly ConfigChange[] {
    const changes: ConfigChange[] = [];
    for (const [cluster, file] of found) {
      const path = join(this.#options.path, cluster);
      const known = this.#digests.get(cluster);
      const before = this.#unreadable.get(cluster);
      if (typeof file !== 'string') {
        if (before !== file.problem) changes.push(this.#cannotRead(cluster, file.problem));
        this.#digests.set(cluster, known ?? UNREAD);
        continue;
      }
      this.#digests.set(cluster, file);
      if (this.#unreadable.delete(cluster)) this.#options.log.info({ cluster, path }, 'configuration file readable again');
      if (known !== file) changes.push({ kind: known === undefined ? 'added' : 'changed', cluster, path });
      else if (before !== undefined) changes.push({ kind: 'readable', cluster });
    }
    return [...changes, ...this.#removals(found)];
  }

  #removals(found: ReadonlyMap<string, unknown>): readonly ConfigChange[] {
    const nowMs = this.#options.clock.monotonicMs();
    const removals: ConfigChange[] = [];
    for (const cluster of this.#digests.keys()) {
      const sinceMs = this.#missing.get(cluster);
      if (found.has(cluster)) this.#missing.delete(cluster);
      else if (sinceMs === undefined) this.#missing.set(cluster, nowMs);
      else if (nowMs - sinceMs >= this.#timing.goneMs) {
        removals.push({ kind: 'removed', cluster });
        for (const known of [this.#digests, this.#missing, this.#unreadable]) known.delete(cluster);
      }
    }
    return removals;
  }

  async #read(names: readonly string[]): Promise<ReadonlyMap<string, string | { readonly problem: string }>> {
    const found = new Map<string, string | { readonly problem: string }>();
    const seen = new Set<string>();
    const others = new Set<string>();
    for (const name of names) {
      const file = await this.#content(name, others);
      if (file === undefined) continue;
      seen.add(name);
      if (this.#isCluster(name, found.size)) found.set(name, file);
    }
    for (const name of this.#reported.keys()) if (!seen.has(name)) this.#reported.delete(name);
    const all = new Set(names);
    for (const name of this.#versions.keys()) if (!all.has(name)) this.#versions.delete(name);
    this.#others = others;
    return found;
  }

  /** The digest of a cluster's file, or its problem. Undefined if it is another file, or missing. */
  async #content(name: string, others: Set<string>): Promise<string | { readonly problem: string } | undefined> {
    try {
      const path = join(this.#options.path, name);
      const version = await this.#files.version(path);
      const known = this.#versions.get(name);
      if (version !== undefined && version === known?.version) return known.digest;
      this.#versions.delete(name);
      const read = await this.#files.read(path);
      if (read === undefined) return undefined;
      const digest = digestOf(read);
      if (version !== undefined) this.#versions.set(name, { version, digest });
      return digest;
    } catch (thrown) {
      if (thrown instanceof NotAFileError && !this.#digests.has(name)) {
        others.add(name);
        return undefined;
      }
      // Keys and certificates beside the clusters' files may be unreadable for this user.
      return clusterNameProblem(name) === undefined ? { problem: problemOf(thrown) } : undefined;
    }
  }

  #isCluster(name: string, before: number): boolean {
    const { ownName } = this.#options;
    if (name === ownName) return this.#report(name, 'this is the local cluster', 'debug');
    const problem = clusterNameProblem(name);
    if (problem !== undefined) return this.#report(name, `${problem}; rename the file to the name of its cluster`, 'error');
    if (before >= MAX_REMOTE_CLUSTERS) return this.#report(name, `there are more than ${MAX_REMOTE_CLUSTERS} clusters`, 'error');
    this.#reported.delete(name);
    return true;
  }

  /** Reports once per file and reason why it is ignored. */
  #report(name: string, reason: string, level: 'debug' | 'error'): false {
    if (this.#reported.get(name) !== reason) {
      this.#options.log[level]({ cluster: name, reason }, 'ignoring a file of the configuration directory');
    }
    this.#reported.set(name, reason);
    return false;
  }
}

/** Undefined where it is no cluster's file. One that is too large is treated as a cluster's, so that its size is reported. */
function digestOf(read: Buffer | number): string | undefined {
  const content = typeof read === 'number' ? `${MARK} ${read}` : read;
  return content.includes(MARK) ? createHash('sha256').update(content).digest('hex') : undefined;
}
