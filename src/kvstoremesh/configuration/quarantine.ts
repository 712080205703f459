/**
 * The files `CLUSTER.quarantine` in the configuration directory: which mirrors an operator has frozen or withdrawn.
 *
 * They are keys of the Secret that has the clusters' files, so that they need no further rights, are followed live, and hold across
 * restarts and for each replica. Cilium's kvstoremesh ignores files without endpoints.
 */
import { clusterNameProblem } from '../../shared/cluster-info.ts';
import { asError } from '../../shared/errors.ts';
import { printable } from '../../shared/printable.ts';
import { problemOf } from './config-files.ts';

export const QUARANTINE_MODES = ['freeze', 'withdraw'] as const;
export type QuarantineMode = (typeof QUARANTINE_MODES)[number];

/** freeze: the mirror keeps what it has. withdraw: its keys are removed, as those of a removed cluster. */
export interface Quarantine {
  readonly mode: QuarantineMode;
  /** In the operator's words; may be empty. */
  readonly reason: string;
  /** RFC 3339; may be empty. */
  readonly since: string;
}

export interface QuarantineChange {
  readonly kind: 'quarantine';
  readonly cluster: string;
  /** Undefined where it has ended. */
  readonly quarantine: Quarantine | undefined;
}

const SUFFIX = '.quarantine';
/** Characters of the reason. */
const MAX_QUARANTINE_REASON_LENGTH = 256;
const MAX_TIME_LENGTH = 32;

/** Never throws: a file that cannot be understood freezes the mirror, because its writer wanted one or the other. */
export function parseQuarantine(text: string): Quarantine {
  const named = members(text);
  const mode = QUARANTINE_MODES.find((each) => each === named?.mode);
  const reason =
    named !== undefined && mode !== undefined
      ? shown(named.reason)
      : `the file is not valid: allowed modes: ${QUARANTINE_MODES.join(', ')}`;
  return { mode: mode ?? 'freeze', reason, since: printable(String(named?.since ?? ''), MAX_TIME_LENGTH) };
}

function members(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : undefined;
  } catch {
    return undefined;
  }
}

function shown(reason: unknown): string {
  return typeof reason === 'string' ? printable(reason, MAX_QUARANTINE_REASON_LENGTH) : '';
}

interface Known {
  readonly content: string;
  missingSinceMs: number | undefined;
}

/** The files as they were last read. */
export class QuarantineFiles {
  readonly #known = new Map<string, Known>();
  readonly #goneMs: number;

  /** `goneMs`: a missing file counts as removed when it is still missing after this time. */
  constructor(goneMs: number) {
    this.#goneMs = goneMs;
  }

  /** A file is missing, and has to be looked for again. */
  get isWaiting(): boolean {
    return [...this.#known.values()].some(({ missingSinceMs }) => missingSinceMs !== undefined);
  }

  /** What has changed. `names`: all files of the directory. `read` gives the content of one, its size where it is too large, or undefined. */
  async changes(
    names: readonly string[],
    read: (name: string) => Promise<Buffer | number | undefined>,
    nowMs: number,
  ): Promise<readonly QuarantineChange[]> {
    const changes: QuarantineChange[] = [];
    const found = new Set<string>();
    for (const name of names) {
      const cluster = name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : '';
      if (clusterNameProblem(cluster) !== undefined) continue;
      const known = this.#known.get(cluster);
      const content = await contentOf(() => read(name), known?.content);
      if (content === undefined) continue;
      found.add(cluster);
      this.#known.set(cluster, { content, missingSinceMs: undefined });
      if (known?.content !== content) changes.push({ kind: 'quarantine', cluster, quarantine: parseQuarantine(content) });
    }
    for (const [cluster, known] of this.#known) {
      if (found.has(cluster)) continue;
      known.missingSinceMs ??= nowMs;
      if (nowMs - known.missingSinceMs < this.#goneMs) continue;
      this.#known.delete(cluster);
      changes.push({ kind: 'quarantine', cluster, quarantine: undefined });
    }
    return changes;
  }
}

/** Undefined where there is no file. One that cannot be read keeps `last`, or freezes the mirror. */
async function contentOf(
  read: () => Promise<Buffer | number | undefined>,
  last: string | undefined,
): Promise<string | undefined> {
  try {
    const content = await read();
    return typeof content === 'number' ? `a file of ${content} bytes` : content?.toString();
  } catch (thrown) {
    return last ?? JSON.stringify({ mode: 'freeze', reason: `the file cannot be read: ${problemOf(asError(thrown))}` });
  }
}
