/** Secrets in the Kubernetes API: read, created, updated with a resourceVersion precondition; and who manages them. */

import { printable } from '../printable.ts';
import type { KubeConnection } from './connection/connection.ts';
import { KubeMissingError, KubeStatusError, NamespaceMissingError } from './errors.ts';
import { type JsonRecord, recordOf } from './objects/json.ts';

/** Decoded values by key. */
export type SecretData = Readonly<Record<string, string>>;

export interface StoredSecret {
  /** `namespace/name`. */
  readonly fullName: string;
  readonly data: SecretData;
  /** Another program that manages it, such as `Helm`; undefined where no label, annotation or owner names one. */
  readonly manager: string | undefined;
  /** Written by this program before. */
  readonly isOurs: boolean;
  readonly object: JsonRecord;
}

const MANAGED_BY = 'app.kubernetes.io/managed-by';
const OURSELVES = 'clustermesh-apiserver';
const LABELS = { [MANAGED_BY]: OURSELVES, 'app.kubernetes.io/part-of': 'cilium' };

/** Annotations that tell which program manages an object. */
const MARKS: readonly (readonly [annotation: string, manager: string])[] = [
  ['cert-manager.io/certificate-name', 'cert-manager'],
  ['meta.helm.sh/release-name', 'Helm'],
  ['argocd.argoproj.io/tracking-id', 'Argo CD'],
  ['reconcile.external-secrets.io/data-hash', 'External Secrets'],
];

const JSON_TYPE = 'application/json';
/** Characters shown of the manager of a Secret; the length of a label. */
const MAX_MANAGER_LENGTH = 63;

type Type = 'kubernetes.io/tls' | 'Opaque';

export class Secrets {
  readonly #connection: KubeConnection;
  readonly #namespace: string;
  readonly #signal: AbortSignal;
  readonly #isDryRun: boolean;

  /** With `isDryRun` the API server checks every write and stores none. */
  constructor(connection: KubeConnection, namespace: string, signal: AbortSignal, { isDryRun = false } = {}) {
    this.#connection = connection;
    this.#namespace = namespace;
    this.#signal = signal;
    this.#isDryRun = isDryRun;
  }

  fullName(name: string): string {
    return `${this.#namespace}/${name}`;
  }

  /** Undefined where there is none. Throws a KubeError. */
  async read(name: string): Promise<StoredSecret | undefined> {
    const purpose = { verb: 'get', what: `Secret ${this.fullName(name)}` } as const;
    try {
      const path = `${this.#collection()}/${encodeURIComponent(name)}`;
      const object = recordOf(await this.#connection.send({ purpose, path, accept: JSON_TYPE, signal: this.#signal }));
      return { fullName: this.fullName(name), data: textsOf(object), ...ownershipOf(object), object };
    } catch (thrown) {
      if (thrown instanceof KubeMissingError) return undefined;
      throw thrown;
    }
  }

  /** False where a Secret of this name exists. Throws a KubeError or NamespaceMissingError. */
  async create(name: string, type: Type, data: SecretData): Promise<boolean> {
    const metadata = { name, namespace: this.#namespace, labels: LABELS };
    const object = { apiVersion: 'v1', kind: 'Secret', type, metadata, data: encoded(data) };
    try {
      return await this.#write({ verb: 'create', name, method: 'POST', path: this.#collection(), object });
    } catch (thrown) {
      if (!(thrown instanceof KubeMissingError)) throw thrown;
      throw new NamespaceMissingError(`namespace ${this.#namespace} does not exist; create it, or set --namespace`, {
        cause: thrown,
      });
    }
  }

  /**
   * Sets the values of `data`; undefined removes a key, other keys stay. Labels of the program that manages the Secret stay, too. False where the Secret was changed or deleted since
   * it was read. Throws a KubeError.
   */
  async replace(stored: StoredSecret, data: Readonly<Record<string, string | undefined>>): Promise<boolean> {
    const { object, manager } = stored;
    const metadata = recordOf(object.metadata);
    const name = String(metadata.name);
    const all = { ...recordOf(object.data), ...encoded(data) };
    const changed = {
      ...object,
      metadata: { ...metadata, labels: { ...recordOf(metadata.labels), ...(manager === undefined ? LABELS : {}) } },
      data: all,
    };
    const path = `${this.#collection()}/${encodeURIComponent(name)}`;
    try {
      return await this.#write({ verb: 'update', name, method: 'PUT', path, object: changed });
    } catch (thrown) {
      if (thrown instanceof KubeMissingError) return false;
      throw thrown;
    }
  }

  async #write(write: {
    readonly verb: 'create' | 'update';
    readonly name: string;
    readonly method: 'POST' | 'PUT';
    readonly path: string;
    readonly object: object;
  }): Promise<boolean> {
    const { verb, name, method, path, object } = write;
    const content = { content: JSON.stringify(object), contentType: JSON_TYPE };
    try {
      const purpose = { verb, what: `Secret ${this.fullName(name)}` };
      const query = this.#isDryRun ? '?dryRun=All' : '';
      await this.#connection.send({
        purpose,
        method,
        path: `${path}${query}`,
        accept: JSON_TYPE,
        ...content,
        signal: this.#signal,
      });
      return true;
    } catch (thrown) {
      if (thrown instanceof KubeStatusError && thrown.status === 409) return false;
      throw thrown;
    }
  }

  #collection(): string {
    return `/api/v1/namespaces/${encodeURIComponent(this.#namespace)}/secrets`;
  }
}

function textsOf(object: JsonRecord): SecretData {
  const data = Object.entries(recordOf(object.data));
  return Object.fromEntries(data.map(([key, value]) => [key, Buffer.from(String(value), 'base64').toString('utf8')]));
}

function encoded(data: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, value === undefined ? undefined : Buffer.from(value).toString('base64')]),
  );
}

/** Our own label takes precedence over annotations of a former manager. */
function ownershipOf(object: JsonRecord): Pick<StoredSecret, 'manager' | 'isOurs'> {
  const { labels, annotations, ownerReferences } = recordOf(object.metadata);
  const label = recordOf(labels)[MANAGED_BY];
  if (label === OURSELVES) return { manager: undefined, isOurs: true };
  const marked = MARKS.find(([annotation]) => recordOf(annotations)[annotation] !== undefined)?.[1];
  const [owner] = Array.isArray(ownerReferences) ? ownerReferences.map(recordOf) : [];
  const manager = marked ?? (label === undefined || label === '' ? owner && `${owner.kind} ${owner.name}` : label);
  return { manager: manager === undefined ? undefined : printable(String(manager), MAX_MANAGER_LENGTH), isOurs: false };
}
