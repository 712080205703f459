/**
 * Writes objects to a Kubernetes API, embedded or real, with the credentials of a kubeconfig. One call is one attempt.
 */

import { type KubeConnection, openConnection } from '../../../src/shared/kubernetes/connection/connection.ts';
import { KubeMissingError } from '../../../src/shared/kubernetes/errors.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';

/** A manifest of any kind. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 15_000;

const VERBS = { create: 'POST', patch: 'PATCH', delete: 'DELETE' } as const;

/** The kinds the demo writes, and the plural names their paths have. */
const PLURALS: Readonly<Record<string, string>> = {
  Namespace: 'namespaces',
  Service: 'services',
  Pod: 'pods',
  EndpointSlice: 'endpointslices',
  CiliumNode: 'ciliumnodes',
  CiliumIdentity: 'ciliumidentities',
  CiliumEndpoint: 'ciliumendpoints',
};

export class KubernetesClient {
  readonly connection: KubeConnection;

  private constructor(connection: KubeConnection) {
    this.connection = connection;
  }

  /** Throws KubeConfigError where the file cannot be used. */
  static async fromKubeconfig(path: string): Promise<KubernetesClient> {
    const connection = await openConnection({
      kubeconfigPath: path,
      serverUrls: [],
      userAgent: 'clustermesh-apiserver-demo',
      connectTimeoutMs: REQUEST_TIMEOUT_MS,
      keepAliveMs: KEEP_ALIVE_MS,
      rate: { perSecond: 0, burst: 0 },
      clock: systemClock,
      log: silentLogger,
    });
    return new KubernetesClient(connection);
  }

  get server(): string {
    return this.connection.server.replace(/\/$/, '');
  }

  /** Throws KubeStatusError with status 409 where the object exists. */
  async create(manifest: Manifest): Promise<void> {
    await this.#send('create', manifest, collectionPath(manifest), manifest);
  }

  /** Merges `fields` into the object: lists are replaced, null removes. */
  async merge(manifest: Manifest, fields: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#send('patch', manifest, objectPath(manifest), fields);
  }

  /** The same for the status, where that is written by itself. */
  async mergeStatus(manifest: Manifest, fields: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#send('patch', manifest, `${objectPath(manifest)}/status`, fields);
  }

  /** Resolves also where the object does not exist. */
  async delete(manifest: Manifest): Promise<void> {
    try {
      await this.#send('delete', manifest, objectPath(manifest));
    } catch (thrown) {
      if (!(thrown instanceof KubeMissingError)) throw thrown;
    }
  }

  close(): Promise<void> {
    return this.connection.close();
  }

  /** Throws a KubeError that names the verb and the object. */
  async #send(verb: keyof typeof VERBS, { kind, metadata }: Manifest, path: string, content?: unknown): Promise<void> {
    const body = {
      content: JSON.stringify(content),
      contentType: verb === 'patch' ? 'application/merge-patch+json' : 'application/json',
    };
    await this.connection.send({
      purpose: { verb, what: `${kind} ${metadata.name}` },
      method: VERBS[verb],
      path,
      accept: 'application/json',
      ...(content === undefined ? {} : body),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
  }
}

function collectionPath({ apiVersion, kind, metadata: { namespace } }: Manifest): string {
  const plural = PLURALS[kind];
  if (plural === undefined) throw new TypeError(`the demo writes no ${kind}`);
  const root = apiVersion.includes('/') ? '/apis' : '/api';
  return `${root}/${apiVersion}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${plural}`;
}

function objectPath(manifest: Manifest): string {
  return `${collectionPath(manifest)}/${manifest.metadata.name}`;
}
