/** The requests about one CRD. They throw KubeErrors, or the signal's reason. */
import type { KubeConnection } from '../../shared/kubernetes/connection/connection.ts';
import { KubeMissingError, KubeStatusError } from '../../shared/kubernetes/errors.ts';
import { type JsonRecord, recordOf } from '../../shared/kubernetes/objects/json.ts';
import { CUSTOM_RESOURCE_DEFINITIONS, collectionPath } from '../../shared/kubernetes/objects/resources.ts';

const COLLECTION = collectionPath(CUSTOM_RESOURCE_DEFINITIONS);

type Verb = 'get' | 'create' | 'update';

export class CrdRequests {
  readonly #connection: KubeConnection;
  readonly #name: string;
  readonly #signal: AbortSignal;
  #verb: Verb = 'get';

  /** `name` is that of the CRD, `plural.group`. */
  constructor(connection: KubeConnection, name: string, signal: AbortSignal) {
    this.#connection = connection;
    this.#name = name;
    this.#signal = signal;
  }

  /** What the last request did, as RBAC names it. */
  get verb(): Verb {
    return this.#verb;
  }

  /** Undefined where there is none. */
  async read(): Promise<JsonRecord | undefined> {
    try {
      return recordOf(await this.#send('get', `${COLLECTION}/${this.#name}`));
    } catch (thrown) {
      if (thrown instanceof KubeMissingError) return undefined;
      throw thrown;
    }
  }

  /** False if it was created concurrently. */
  async create(object: object): Promise<boolean> {
    try {
      await this.#send('create', COLLECTION, { method: 'POST', object });
      return true;
    } catch (thrown) {
      if (isConflict(thrown)) return false;
      throw thrown;
    }
  }

  /** Fails with a conflict where the CRD is no longer the one that `object` was made from. */
  async replace(object: object): Promise<void> {
    await this.#send('update', `${COLLECTION}/${this.#name}`, { method: 'PUT', object });
  }

  #send(verb: Verb, path: string, write?: { readonly method: 'POST' | 'PUT'; readonly object: object }): Promise<unknown> {
    this.#verb = verb;
    const accept = 'application/json';
    const purpose = { verb, what: `CustomResourceDefinition ${this.#name}` };
    const content = write && { method: write.method, content: JSON.stringify(write.object), contentType: accept };
    return this.#connection.send({ purpose, path, accept, signal: this.#signal, ...content });
  }
}

/** Whether the API server rejected a write because of a concurrent one. */
export function isConflict(thrown: unknown): boolean {
  return thrown instanceof KubeStatusError && thrown.status === 409;
}
