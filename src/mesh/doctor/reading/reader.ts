/** Reads of one cluster, each of which can fail alone. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { asError } from '../../../shared/errors.ts';
import { KubeForbiddenError } from '../../../shared/kubernetes/errors.ts';
import { type JsonRecord, recordOf } from '../../../shared/kubernetes/objects/json.ts';
import type { Clock } from '../../../shared/time/clock.ts';
import { recordsOf } from '../../addresses.ts';
import type { Cluster } from '../../cluster.ts';
import { undecided } from '../catalogue.ts';
import type { ListFact, ObjectFact } from '../facts.ts';
import { kubectl } from '../subjects.ts';

/** For one object or one whole list, and for all of a cluster together. */
const READ_TIMEOUT_MS = 3_000;
const READING_TIMEOUT_MS = 4_500;
/** Requests to one API server at the same time; each has a connection. */
const MAX_CONCURRENT_READS = 8;
const ITEMS_PER_PAGE = 250;
/** Pages of a list. */
const MAX_PAGES = 40;

/** What is read, and what cannot be checked without it. */
export interface Wanted {
  /** Below the API server, with a query where there is one. */
  readonly path: string;
  /** `secrets`, `ciliumnodes.cilium.io` */
  readonly resource: string;
  /** Of the namespace of Cilium, or of the cluster. */
  readonly isNamespaced?: boolean;
  /** `the certificates` */
  readonly purpose: string;
}

interface Failure {
  readonly wanted: Wanted;
  readonly verb: 'get' | 'list';
  readonly isForbidden: boolean;
  readonly text: string;
}

export class Reader {
  readonly cluster: Cluster;
  readonly #clock: Clock;
  readonly #failures: Failure[] = [];
  readonly #startMs: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(cluster: Cluster, clock: Clock) {
    this.cluster = cluster;
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
  }

  async object(wanted: Wanted): Promise<ObjectFact> {
    return this.attempt(wanted, async () => (await this.cluster.get(wanted.path, wanted.resource)) ?? 'absent');
  }

  /** An object of the namespace; `plural` with its group and version where it has one. */
  named(plural: string, name: string, purpose: string): Promise<ObjectFact> {
    const path = `${this.cluster.collection(plural)}/${encodeURIComponent(name)}`;
    return this.object({ path, resource: resourceOf(plural), isNamespaced: true, purpose });
  }

  /** A list whose path has no query; cut after a number of pages and after a time, which is a finding, too. */
  async list(wanted: Wanted, query: Readonly<Record<string, string>> = {}): Promise<ListFact> {
    const startMs = this.#clock.monotonicMs();
    const items: JsonRecord[] = [];
    const isOver = () => this.#clock.monotonicMs() - startMs > READ_TIMEOUT_MS;
    let next: unknown = '';
    for (let pages = 0; pages === 0 || next !== ''; pages += 1) {
      if (pages === MAX_PAGES || isOver()) {
        this.#failures.push({ wanted, verb: 'list', isForbidden: false, text: `only ${items.length} of them were read` });
        break;
      }
      const parameters = new URLSearchParams({ ...query, limit: String(ITEMS_PER_PAGE), continue: String(next) });
      const page = await this.attempt(
        wanted,
        async () => (await this.cluster.get(`${wanted.path}?${parameters}`, wanted.resource)) ?? 'absent',
        'list',
      );
      if (page === 'unread') return 'unread';
      if (page === 'absent') return [];
      items.push(...recordsOf(page.items));
      next = recordOf(page.metadata).continue ?? '';
    }
    return items;
  }

  /** What `read` resolves with; it never rejects. */
  async attempt<T>(wanted: Wanted, read: () => Promise<T>, verb: Failure['verb'] = 'get'): Promise<T | 'unread'> {
    await this.#turn();
    try {
      return await this.#inTime(read);
    } catch (thrown) {
      const error = asError(thrown);
      this.#failures.push({ wanted, verb, isForbidden: error.cause instanceof KubeForbiddenError, text: error.message });
      return 'unread';
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** One finding for all reads that failed for the same reason, by resource: reads end in any order. */
  findings(label: string): readonly Finding[] {
    const { cluster } = this;
    const alike = Map.groupBy(this.#failures, ({ wanted, verb, isForbidden }) =>
      [verb, wanted.resource, wanted.isNamespaced === true, isForbidden].join(' '),
    );
    const sorted = [...alike.values()].sort(([a], [b]) => ((a?.wanted.resource ?? '') < (b?.wanted.resource ?? '') ? -1 : 1));
    return sorted.map((failures) => {
      const [{ wanted, verb, isForbidden, text }] = failures as [Failure, ...Failure[]];
      const where = wanted.isNamespaced === true ? ` in namespace ${cluster.namespace}` : '';
      const purposes = [...new Set(failures.map((each) => each.wanted.purpose))].sort().join(', ');
      const right = `${verb} of ${wanted.resource}${where}`;
      const subject = `${label}: ${wanted.resource}`;
      if (!isForbidden) {
        const remedy = `check the API server: ${kubectl(cluster, 'get --raw=/readyz')}`;
        return undecided('read-access', subject, `cannot check ${purposes} completely: ${text}`, remedy);
      }
      const check = kubectl(cluster, `auth can-i ${verb} ${wanted.resource}`);
      const remedy = `grant the user of context ${cluster.context} ${right}; ${check} shows whether it has it`;
      return undecided('read-access', subject, `cannot check ${purposes}: needs ${right}`, remedy);
    });
  }

  async #turn(): Promise<void> {
    if (this.#running >= MAX_CONCURRENT_READS) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
  }

  async #inTime<T>(read: () => Promise<T>): Promise<T> {
    const leftMs = this.#startMs + READING_TIMEOUT_MS - this.#clock.monotonicMs();
    const limitMs = Math.min(READ_TIMEOUT_MS, Math.max(0, leftMs));
    const done = new AbortController();
    const late = this.#clock.sleep(limitMs, done.signal).then(() => {
      throw new Error(`context ${this.cluster.context}: no response in time`);
    });
    try {
      return await Promise.race([read(), late]);
    } finally {
      done.abort();
    }
  }
}

/** `apps/v1/deployments` → `deployments.apps` */
function resourceOf(plural: string): string {
  const parts = plural.split('/');
  return parts.length === 1 ? plural : `${parts.at(-1)}.${parts[0]}`;
}
