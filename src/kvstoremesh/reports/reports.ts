/**
 * What the leader reports to Kubernetes: Events about its Pod, and a status ConfigMap.
 *
 * Mirroring never waits for any of it. Without an API server, or without permission, the reports are repeated with back-off.
 */
import { hostname } from 'node:os';
import { asError } from '../../shared/errors.ts';
import { readBoundedFile } from '../../shared/files/bounded-file.ts';
import { FlagError } from '../../shared/flags/error.ts';
import type { Registry } from '../../shared/http/metrics.ts';
import { type KubeConnection, openConnection } from '../../shared/kubernetes/connection/connection.ts';
import { MAX_TOKEN_FILE_BYTES } from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { VERSION } from '../../shared/version.ts';
import type { ConfigDirectory } from '../configuration/config-directory.ts';
import type { ReportsConfig } from '../flags.ts';
import type { RemoteClusters } from '../remote/clusters.ts';
import { EventQueue } from './event-queue.ts';
import { writeEvents } from './events.ts';
import { RemoteChanges } from './remote-changes.ts';
import { ReportMetrics } from './report-writes.ts';
import { writeStatusMap } from './status-map.ts';

/** The defaults of the flags of `clustermesh`. */
const CONNECT_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 30_000;
const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

/** What a term reports about. */
export interface ReportedTerm {
  readonly remotes: RemoteClusters;
  readonly directory: ConfigDirectory;
}

interface Surroundings {
  readonly clock: Clock;
  readonly log: Logger;
}

export class Reports {
  readonly #connection: KubeConnection;
  readonly #config: ReportsConfig;
  readonly #namespace: string;
  readonly #metrics: ReportMetrics;
  readonly #surroundings: Surroundings;

  private constructor(
    connection: KubeConnection,
    config: ReportsConfig,
    namespace: string,
    more: Surroundings & { metrics: Registry },
  ) {
    this.#connection = connection;
    this.#config = config;
    this.#namespace = namespace;
    this.#metrics = new ReportMetrics(more.metrics);
    this.#surroundings = more;
  }

  /** Sends no request. Throws FlagError or KubeConfigError for a configuration that can never work. */
  static async open(config: ReportsConfig, more: Surroundings & { readonly metrics: Registry }): Promise<Reports> {
    const namespace = config.namespace === '' ? await namespaceOfPod() : config.namespace;
    const connection = await openConnection({
      kubeconfigPath: config.kubeconfigPath,
      serverUrls: config.serverUrls,
      userAgent: `clustermesh-apiserver/${VERSION.version}`,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      keepAliveMs: KEEP_ALIVE_MS,
      rate: { perSecond: 0, burst: 1 },
      ...more,
    });
    return new Reports(connection, config, namespace, more);
  }

  /** The reports of one term. What an earlier term has not written yet is lost. */
  begin(): TermReports {
    const { clock, log } = this.#surroundings;
    const common = { connection: this.#connection, metrics: this.#metrics, clock, log };
    const { events, statusConfigMap: name, podUid } = this.#config;
    const podName = this.#config.podName === '' ? hostname() : this.#config.podName;
    const namespace = this.#namespace;
    const queue = events ? new EventQueue(clock, (count) => this.#metrics.count('event', 'dropped', count)) : undefined;
    const subject = { namespace, podName, podUid: podUid === '' ? undefined : podUid };
    return {
      changes: queue && new RemoteChanges((event) => queue.push(event)),
      async run(term, signal) {
        const tasks: Promise<never>[] = [];
        if (queue !== undefined) tasks.push(writeEvents({ ...common, queue, subject }, signal));
        if (name !== '') tasks.push(writeStatusMap({ ...common, ...term, namespace, name, podName }, signal));
        // Either fails by a mistake in this program only, or ends with the signal, like the other.
        await Promise.all(tasks);
      },
    };
  }

  /** Ends every request. */
  close(): Promise<void> {
    return this.#connection.close();
  }
}

export interface TermReports {
  /** Undefined where no Events are written. */
  readonly changes: RemoteChanges | undefined;
  /** Runs until the signal is aborted, then rejects with its reason. */
  run(term: ReportedTerm, signal: AbortSignal): Promise<void>;
}

async function namespaceOfPod(): Promise<string> {
  try {
    return (await readBoundedFile(NAMESPACE_FILE, MAX_TOKEN_FILE_BYTES)).toString('utf8').trim();
  } catch (thrown) {
    throw new FlagError(`set --k8s-namespace outside of a Pod with a service account: ${asError(thrown).message}`);
  }
}
