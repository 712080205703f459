/** A cluster of the kubeconfig: its name and ID, and requests to its API server. */
import { ProgramError } from '../shared/errors.ts';
import type { KubeBody } from '../shared/kubernetes/connection/body.ts';
import { type KubeConnection, openConnection } from '../shared/kubernetes/connection/connection.ts';
import { KubeConfigError, KubeMissingError } from '../shared/kubernetes/errors.ts';
import { type JsonRecord, recordOf } from '../shared/kubernetes/objects/json.ts';
import { Secrets } from '../shared/kubernetes/secrets.ts';
import type { WebSocket } from '../shared/kubernetes/web-socket/web-socket.ts';
import { printable } from '../shared/printable.ts';
import { silentLogger } from '../shared/process/log.ts';
import { systemClock } from '../shared/time/clock.ts';
import { VERSION } from '../shared/version.ts';
import { ClusterAccessError, ClusterContentError } from './errors.ts';
import { findContext } from './kubeconfig.ts';

/** Idle time of a socket before the kernel probes the API server. */
const KEEP_ALIVE_MS = 30_000;
/** Bytes of the answer to a question for the clock. */
const MAX_VERSION_BYTES = 64 * 1024;

const UNNAMED = 'default';
const DEFAULT_MAX_CLUSTERS = 255;
/** Characters shown of a name from a ConfigMap. */
const MAX_NAME_LENGTH = 63;

export interface ClusterTiming {
  /** For proxy, TCP and TLS to an API server together. */
  readonly connectTimeoutMs: number;
  /** Longest silence of an API server before a response. */
  readonly answerTimeoutMs: number;
}

const PATIENT: ClusterTiming = { connectTimeoutMs: 10_000, answerTimeoutMs: 30_000 };

export interface ClusterPlace {
  readonly kubeconfig: string;
  /** '' for the current one. */
  readonly context: string;
  readonly namespace: string;
}

/** As in the ConfigMap `cilium-config`. */
export interface ClusterIdentity {
  readonly name: string;
  /** NaN where it is no number. */
  readonly id: number;
  readonly maxConnectedClusters: number;
}

export class Cluster implements AsyncDisposable {
  readonly context: string;
  readonly namespace: string;
  readonly identity: ClusterIdentity;
  /** The data of the ConfigMap `cilium-config`. */
  readonly config: JsonRecord;
  readonly #link: Link;

  private constructor(context: string, namespace: string, config: JsonRecord, link: Link) {
    this.context = context;
    this.namespace = namespace;
    this.config = recordOf(config.data);
    this.identity = identityOf(this.config);
    this.#link = link;
  }

  /** Throws KubeConfigError, ClusterAccessError, or ClusterContentError where Cilium is not installed. */
  static async open(
    { kubeconfig, context, namespace }: ClusterPlace,
    signal: AbortSignal,
    { connectTimeoutMs, answerTimeoutMs }: ClusterTiming = PATIENT,
  ): Promise<Cluster> {
    const place = await findContext(kubeconfig, context);
    const connection = await openConnection({
      kubeconfigPath: place.path,
      context: place.context,
      serverUrls: [],
      userAgent: `clustermesh-apiserver/${VERSION.version}`,
      connectTimeoutMs,
      keepAliveMs: KEEP_ALIVE_MS,
      rate: { perSecond: 0, burst: 0 },
      clock: systemClock,
      log: silentLogger,
    });
    const link = { connection, signal, answerTimeoutMs };
    try {
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/cilium-config`;
      const config = await getObject(link, place.context, path, 'ConfigMap cilium-config');
      if (config === undefined)
        throw new ClusterContentError(
          `context ${place.context}: ConfigMap ${namespace}/cilium-config does not exist; is Cilium installed in this namespace (--namespace)?`,
        );
      return new Cluster(place.context, namespace, config, link);
    } catch (thrown) {
      await connection.close();
      throw thrown;
    }
  }

  get name(): string {
    return this.identity.name;
  }

  secrets(options: { readonly isDryRun?: boolean } = {}): Secrets {
    return new Secrets(this.#link.connection, this.namespace, this.#link.signal, options);
  }

  /** The object at `path`, undefined where there is none. `what` is for errors. Throws ClusterAccessError. */
  get(path: string, what: string): Promise<JsonRecord | undefined> {
    return getObject(this.#link, this.context, path, what);
  }

  /** The same for an object of the namespace; `plural` with its group where it has one: `apps/v1/deployments`. */
  getNamespaced(plural: string, name: string): Promise<JsonRecord | undefined> {
    return this.get(`${this.collection(plural)}/${encodeURIComponent(name)}`, `${plural} ${this.namespace}/${name}`);
  }

  /** The text at `path`, cut after `limitBytes`. Throws ClusterAccessError. */
  getText(path: string, what: string, limitBytes: number): Promise<string> {
    return this.run(() => this.#read(path, what, (body) => body.text(limitBytes)));
  }

  /** The clock of the API server, milliseconds since 1970, cut to seconds; undefined where it sends none. Throws ClusterAccessError. */
  serverTimeMs(): Promise<number | undefined> {
    return this.run(() =>
      this.#read('/version', 'the version', async (body) => {
        await body.text(MAX_VERSION_BYTES);
        return body.serverTimeMs;
      }),
    );
  }

  /** A WebSocket to `path`, which `signal` closes. Throws a KubeError, which does not name the context. */
  openSocket(path: string, what: string, protocols: readonly string[], signal: AbortSignal): Promise<WebSocket> {
    const purpose = { verb: 'get', what } as const;
    const { connection, answerTimeoutMs: timeoutMs } = this.#link;
    return connection.openSocket({ purpose, path, protocols, signal, timeoutMs });
  }

  collection(plural: string): string {
    const parts = plural.split('/');
    const root = parts.length === 1 ? '/api/v1' : `/apis/${parts.slice(0, -1).join('/')}`;
    return `${root}/namespaces/${encodeURIComponent(this.namespace)}/${parts.at(-1)}`;
  }

  /** Runs a write or another request; its errors name the context. Throws ClusterAccessError. */
  run<T>(request: () => Promise<T>): Promise<T> {
    return named(this.context, request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link.connection.close();
  }

  async #read<T>(path: string, what: string, read: (body: KubeBody) => Promise<T>): Promise<T> {
    const { connection, signal, answerTimeoutMs } = this.#link;
    const purpose = { verb: 'get', what } as const;
    const body = await connection.open({ purpose, path, accept: 'text/plain, */*', signal, timeoutMs: answerTimeoutMs });
    try {
      return await read(body);
    } finally {
      body.close();
    }
  }
}

interface Link {
  readonly connection: KubeConnection;
  readonly signal: AbortSignal;
  readonly answerTimeoutMs: number;
}

async function getObject(link: Link, context: string, path: string, what: string): Promise<JsonRecord | undefined> {
  const purpose = { verb: 'get', what } as const;
  const { signal, answerTimeoutMs: timeoutMs } = link;
  const request = { purpose, path, accept: 'application/json', signal, timeoutMs };
  return named(context, async () => {
    try {
      return recordOf(await link.connection.send(request));
    } catch (thrown) {
      if (thrown instanceof KubeMissingError) return undefined;
      throw thrown;
    }
  });
}

async function named<T>(context: string, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (thrown) {
    if (!(thrown instanceof ProgramError) || thrown instanceof KubeConfigError) throw thrown;
    throw new ClusterAccessError(`context ${context}: ${thrown.message}`, { cause: thrown });
  }
}

function identityOf(data: JsonRecord): ClusterIdentity {
  const whole = (key: string, preset: number) => (data[key] === undefined ? preset : wholeNumber(String(data[key])));
  const name = data['cluster-name'];
  return {
    name: name === undefined || name === '' ? UNNAMED : printable(String(name), MAX_NAME_LENGTH),
    id: whole('cluster-id', 0),
    maxConnectedClusters: whole('max-connected-clusters', DEFAULT_MAX_CLUSTERS),
  };
}

function wholeNumber(text: string): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
}
