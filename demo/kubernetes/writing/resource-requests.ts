/**
 * The verbs of the API on stored objects: get, create, replace, patch, delete.
 */
import { type Clock, rfc3339Seconds } from '../../../src/shared/time/clock.ts';
import type { ResourcePath } from '../http/resource-path.ts';
import { alreadyExists, badRequest, conflict, notFound } from '../http/status-error.ts';
import { customResourceDefinitionKind, kindOf } from '../kinds/custom-resource.ts';
import { apiVersionOf, type Surroundings } from '../kinds/resource-kind.ts';
import { serviceSurroundings } from '../kinds/service-surroundings.ts';
import { at, type JsonObject, listOr, sameJson, textOf } from '../objects/json.ts';
import {
  inVersion,
  type KubernetesObject,
  kubernetesObject,
  nameOf,
  namespaceOf,
  objectKey,
  withMetadata,
} from '../objects/kubernetes-object.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { admitNew, admitUpdate } from './object-admission.ts';
import { patchedObject } from './object-patch.ts';

export class ResourceRequests {
  readonly #store: ObjectStore;
  readonly #clock: Clock;

  constructor(store: ObjectStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Throws a 404 where the object does not exist. */
  get(path: ResourcePath): KubernetesObject {
    const object = this.#store.get(path.kind.id, objectKey(path.namespace, path.name));
    if (object === undefined) throw notFound(path.kind, path.name);
    return object;
  }

  /** Throws a 409 where the object exists. */
  create(path: ResourcePath, body: JsonObject): KubernetesObject {
    const given = addressed(path, body);
    this.#requireNamespace(path);
    const admitted = admitNew(path.kind, inStorageVersion(path, given), this.#surroundings());
    const key = objectKey(path.namespace, nameOf(admitted));
    if (this.#store.get(path.kind.id, key) !== undefined) throw alreadyExists(path.kind, nameOf(admitted));
    return this.#store.put(path.kind.id, key, admitted);
  }

  /** Throws a 409 where the object names a resource version that is not the current one. */
  replace(path: ResourcePath, body: JsonObject): KubernetesObject {
    const current = this.get(path);
    if (path.kind.isCustom && at(body, 'metadata', 'resourceVersion') === undefined)
      throw badRequest('metadata.resourceVersion: Invalid value: 0x0: must be specified for an update');
    return this.#update(path, current, addressed(path, body));
  }

  /** Applies a patch of the given content type. */
  patch(path: ResourcePath, contentType: string, patch: JsonObject): KubernetesObject {
    const current = this.get(path);
    const patched = patchedObject(path.kind, inVersion(current, path.apiVersion), contentType, patch);
    return this.#update(path, current, addressed(path, patched));
  }

  /** Deletes an object and returns it; one with finalizers stays, marked, until they are gone. */
  delete(path: ResourcePath): KubernetesObject {
    const current = this.get(path);
    if (!hasFinalizers(current)) return this.#remove(path, current);
    if (isMarked(current)) return current;
    const marks = { deletionTimestamp: this.#surroundings().time, deletionGracePeriodSeconds: 0 };
    return this.#store.put(path.kind.id, objectKey(path.namespace, path.name), withMetadata(current, marks));
  }

  #update(path: ResourcePath, current: KubernetesObject, next: KubernetesObject): KubernetesObject {
    const wanted = next.metadata.resourceVersion;
    if (wanted !== undefined && wanted !== '' && wanted !== current.metadata.resourceVersion) {
      const why = 'the object has been modified; please apply your changes to the latest version and try again';
      throw conflict(path.kind, path.name, why);
    }
    this.#requireNamespace(path);
    const admitted = admitUpdate(path.kind, inStorageVersion(path, next), current, path.subresource, this.#surroundings());
    if (sameJson(admitted, current)) return current;
    const stored = this.#store.put(path.kind.id, objectKey(path.namespace, path.name), admitted);
    return isMarked(stored) && !hasFinalizers(stored) ? this.#remove(path, stored) : stored;
  }

  /** The objects of a kind go with its definition. What is in a namespace stays. */
  #remove(path: ResourcePath, object: KubernetesObject): KubernetesObject {
    if (path.kind === customResourceDefinitionKind) {
      const { id } = kindOf(object);
      for (const each of [...this.#store.values(id)]) this.#store.delete(id, objectKey(namespaceOf(each), nameOf(each)));
    }
    return this.#store.delete(path.kind.id, objectKey(path.namespace, path.name)) ?? object;
  }

  #requireNamespace(path: ResourcePath): void {
    const isThere = path.namespace === '' || this.#store.get('namespaces', path.namespace) !== undefined;
    if (!isThere) throw notFound({ group: '', plural: 'namespaces', kind: 'Namespace' }, path.namespace);
  }

  #surroundings(): Surroundings {
    return serviceSurroundings(this.#store, rfc3339Seconds(this.#clock.nowMs()));
  }
}

/** `body` with the namespace and name of `path`. Throws a 400 where the body says otherwise. */
function addressed(path: ResourcePath, body: JsonObject): KubernetesObject {
  const object = kubernetesObject(body);
  const apiVersion = textOf(body.apiVersion) ?? path.apiVersion;
  const kind = textOf(body.kind) ?? path.kind.kind;
  if (apiVersion !== path.apiVersion || kind !== path.kind.kind)
    throw badRequest(`${apiVersion} ${kind} in the body does not match ${path.apiVersion} ${path.kind.kind} of the path`);
  const [name, namespace] = [nameOf(object), namespaceOf(object)];
  if (path.name !== '' && name !== '' && name !== path.name)
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${path.name})`);
  if (namespace !== '' && namespace !== path.namespace)
    throw badRequest(`the namespace of the object (${namespace}) does not match the namespace on the URL (${path.namespace})`);
  const own = { name: path.name === '' ? object.metadata.name : path.name, namespace: path.namespace || undefined };
  return { ...withMetadata(object, { ...own, managedFields: undefined }), apiVersion, kind };
}

/** `object` as it is stored, whatever version its author speaks. */
function inStorageVersion(path: ResourcePath, object: KubernetesObject): KubernetesObject {
  return inVersion(object, apiVersionOf(path.kind.group, path.kind.storageVersion));
}

function hasFinalizers(object: KubernetesObject): boolean {
  return listOr(object.metadata.finalizers).length > 0;
}

function isMarked(object: KubernetesObject): boolean {
  return object.metadata.deletionTimestamp !== undefined;
}
