/** A cluster of the kubeconfig: its name and ID, and requests to its API server. */
import { ProgramError } from '../shared/errors.ts';
import { type KubeConnection, openConnection } from '../shared/kubernetes/connection/connection.ts';
import { KubeConfigError, KubeMissingError } from '../shared/kubernetes/errors.ts';
import { type JsonRecord, recordOf } from '../shared/kubernetes/objects/json.ts';
import { Secrets } from '../shared/kubernetes/secrets.ts';
import { printable } from '../shared/printable.ts';
import { silentLogger } from '../shared/process/log.ts';
import { systemClock } from '../shared/time/clock.ts';
import { VERSION } from '../shared/version.ts';
import { ClusterAccessError, ClusterContentError } from './errors.ts';
import { findContext } from './kubeconfig.ts';

/** Time for proxy, TCP and TLS to an API server together. */
const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;
/** Longest silence of an API server before a response. */
const ANSWER_TIMEOUT_MS = 30_000;

const UNNAMED = 'default';
const DEFAULT_MAX_CLUSTERS = 255;
/** Characters shown of a name from a ConfigMap. */
const MAX_NAME_LENGTH = 63;

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
  readonly #connection: KubeConnection;
  readonly #signal: AbortSignal;

  private constructor(context: string, namespace: string, identity: ClusterIdentity, link: Link) {
    this.context = context;
    this.namespace = namespace;
    this.identity = identity;
    this.#connection = link.connection;
    this.#signal = link.signal;
  }

  /** Throws KubeConfigError, ClusterAccessError, or ClusterContentError where Cilium is not installed. */
  static async open({ kubeconfig, context, namespace }: ClusterPlace, signal: AbortSignal): Promise<Cluster> {
    const place = await findContext(kubeconfig, context);
    const connection = await openConnection({
      kubeconfigPath: place.path,
      context: place.context,
      serverUrls: [],
      userAgent: `clustermesh-apiserver/${VERSION.version}`,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      keepAliveMs: KEEP_ALIVE_MS,
      rate: { perSecond: 0, burst: 0 },
      clock: systemClock,
      log: silentLogger,
    });
    try {
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/cilium-config`;
      const config = await getObject({ connection, signal }, place.context, path, 'ConfigMap cilium-config');
      if (config === undefined)
        throw new ClusterContentError(
          `context ${place.context}: ConfigMap ${namespace}/cilium-config does not exist; is Cilium installed in this namespace (--namespace)?`,
        );
      return new Cluster(place.context, namespace, identityOf(config), { connection, signal });
    } catch (thrown) {
      await connection.close();
      throw thrown;
    }
  }

  get name(): string {
    return this.identity.name;
  }

  secrets(options: { readonly isDryRun?: boolean } = {}): Secrets {
    return new Secrets(this.#connection, this.namespace, this.#signal, options);
  }

  /** The object at `path`, undefined where there is none. `what` is for errors. Throws ClusterAccessError. */
  get(path: string, what: string): Promise<JsonRecord | undefined> {
    return getObject({ connection: this.#connection, signal: this.#signal }, this.context, path, what);
  }

  /** The same for an object of the namespace; `plural` with its group where it has one: `apps/v1/deployments`. */
  getNamespaced(plural: string, name: string): Promise<JsonRecord | undefined> {
    return this.get(`${this.collection(plural)}/${encodeURIComponent(name)}`, `${plural} ${this.namespace}/${name}`);
  }

  /** The text at `path`, cut after `limitBytes`. Throws ClusterAccessError. */
  getText(path: string, what: string, limitBytes: number): Promise<string> {
    const purpose = { verb: 'get', what } as const;
    return this.run(async () => {
      const request = { purpose, path, accept: 'text/plain', signal: this.#signal, timeoutMs: ANSWER_TIMEOUT_MS };
      const body = await this.#connection.open(request);
      try {
        return await body.text(limitBytes);
      } finally {
        body.close();
      }
    });
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
    await this.#connection.close();
  }
}

interface Link {
  readonly connection: KubeConnection;
  readonly signal: AbortSignal;
}

async function getObject(link: Link, context: string, path: string, what: string): Promise<JsonRecord | undefined> {
  const purpose = { verb: 'get', what } as const;
  const request = { purpose, path, accept: 'application/json', signal: link.signal, timeoutMs: ANSWER_TIMEOUT_MS };
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

function identityOf(config: JsonRecord): ClusterIdentity {
  const data = recordOf(config.data);
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
