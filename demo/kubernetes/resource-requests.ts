/**
 * The verbs of the API on stored objects: get, create, replace, patch, apply, delete.
 */
import { type Clock, rfc3339Seconds } from '../../src/shared/time/clock.ts';
import { at, isObject, type Json, type JsonObject, listOr } from './json.ts';
import { customResourceDefinitionKind, kindOf } from './kinds/custom-resource.ts';
import { serviceSurroundings } from './kinds/service-surroundings.ts';
import { inVersion, type KubernetesObject, nameOf, namespaceOf, objectKey, withMetadata } from './kubernetes-object.ts';
import { type ManagerName, withUpdatedOwnership } from './managed-fields.ts';
import { admitNew, admitUpdate, isUnchanged } from './object-admission.ts';
import { listObjects } from './object-list.ts';
import { patchedObject } from './object-patch.ts';
import type { ObjectStore } from './object-store.ts';
import { addressed, inStorageVersion, ownFieldsOf } from './request-object.ts';
import type { Surroundings } from './resource-kind.ts';
import type { ResourcePath } from './resource-path.ts';
import { serverSideApply } from './server-side-apply.ts';
import { alreadyExists, badRequest, conflict, invalidOptions, notFound } from './status-error.ts';

/** Who writes, and how. */
export interface WriteOptions {
  readonly fieldManager: string;
  /** Server-side apply takes fields that others own. */
  readonly force: boolean;
  /** Everything is checked and answered, nothing is stored. */
  readonly isDryRun: boolean;
}

export interface Written {
  readonly object: KubernetesObject;
  readonly isNew: boolean;
}

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
  create(path: ResourcePath, body: JsonObject, options: WriteOptions): KubernetesObject {
    const given = withMetadata(addressed(path, body), { managedFields: undefined });
    this.#requireNamespace(path);
    const admitted = admitNew(path.kind, inStorageVersion(path, given), this.#surroundings());
    const key = objectKey(path.namespace, nameOf(admitted));
    if (this.#store.get(path.kind.id, key) !== undefined) throw alreadyExists(path.kind, nameOf(admitted));
    return this.#put(path, key, this.#owned(path, admitted, undefined, options), options);
  }

  /** Throws a 409 where the object names a resource version that is not the current one. */
  replace(path: ResourcePath, body: JsonObject, options: WriteOptions): KubernetesObject {
    const current = this.get(path);
    if (path.kind.isCustom && at(body, 'metadata', 'resourceVersion') === undefined)
      throw badRequest('metadata.resourceVersion: Invalid value: 0x0: must be specified for an update');
    return this.#update(path, current, addressed(path, body), options);
  }

  /** Applies a patch of the given content type. Only a server-side apply makes an object that does not exist. */
  patch(path: ResourcePath, contentType: string, patch: Json, options: WriteOptions): Written {
    if (contentType === 'application/apply-patch+yaml') return this.#apply(path, patch, options);
    const current = this.get(path);
    const patched = patchedObject(path.kind, inVersion(current, path.apiVersion), contentType, patch);
    return { object: this.#update(path, current, addressed(path, patched), options), isNew: false };
  }

  /** Deletes an object and returns it; one with finalizers stays, marked, until they are gone. */
  delete(path: ResourcePath, body: JsonObject, options: WriteOptions): KubernetesObject {
    const current = this.get(path);
    for (const field of ['uid', 'resourceVersion']) {
      const [wanted, actual] = [at(body, 'preconditions', field), current.metadata[field]];
      if (wanted !== undefined && wanted !== actual)
        throw conflict(
          path.kind,
          path.name,
          `the precondition names ${field} ${String(wanted)}, the object has ${String(actual)}`,
        );
    }
    if (options.isDryRun) return current;
    if (!hasFinalizers(current)) return this.#remove(path, current);
    if (isMarked(current)) return current;
    const marks = { deletionTimestamp: this.#surroundings().time, deletionGracePeriodSeconds: 0 };
    return this.#put(path, objectKey(path.namespace, path.name), withMetadata(current, marks), options);
  }

  /** Deletes every object that a list with the same query names, and returns them. */
  deleteCollection(path: ResourcePath, query: URLSearchParams, options: WriteOptions): readonly KubernetesObject[] {
    const { objects } = listObjects(this.#store, path, query);
    const pathOf = (object: KubernetesObject) => ({ ...path, namespace: namespaceOf(object), name: nameOf(object) });
    return objects.map((object) => this.delete(pathOf(object), {}, options));
  }

  #apply(path: ResourcePath, patch: Json, options: WriteOptions): Written {
    if (!isObject(patch)) throw badRequest('what is applied is no object');
    if (options.fieldManager === '') throw invalidOptions('fieldManager', 'Required value: is required for apply patch');
    if (listOr(at(patch, 'metadata', 'managedFields')).length > 0) throw badRequest('metadata.managedFields must be nil');
    const stated = addressed(path, patch);
    const key = objectKey(path.namespace, path.name);
    const current = this.#store.get(path.kind.id, key);
    if (current === undefined && path.subresource !== '') throw notFound(path.kind, path.name);
    this.#requireNamespace(path);
    if (current !== undefined) refuseOldVersion(path, current, stated);
    const merged = serverSideApply({
      live: current === undefined ? undefined : inVersion(current, path.apiVersion),
      applied: ownFieldsOf(path, stated),
      author: this.#author(path, options, 'Apply'),
      force: options.force,
      structure: path.kind.structure,
      time: this.#surroundings().time,
    });
    if (current !== undefined)
      return { object: this.#change(path, current, this.#admit(path, current, merged), options), isNew: false };
    const admitted = admitNew(path.kind, inStorageVersion(path, merged), this.#surroundings());
    return { object: this.#put(path, key, admitted, options), isNew: true };
  }

  #update(path: ResourcePath, current: KubernetesObject, next: KubernetesObject, options: WriteOptions): KubernetesObject {
    refuseOldVersion(path, current, next);
    const admitted = this.#admit(path, current, withMetadata(next, { managedFields: current.metadata.managedFields }));
    if (isUnchanged(admitted, current)) return current;
    return this.#change(path, current, this.#owned(path, admitted, current, options), options);
  }

  #admit(path: ResourcePath, current: KubernetesObject, next: KubernetesObject): KubernetesObject {
    this.#requireNamespace(path);
    return admitUpdate(path.kind, inStorageVersion(path, next), current, path.subresource, this.#surroundings());
  }

  #change(path: ResourcePath, current: KubernetesObject, next: KubernetesObject, options: WriteOptions): KubernetesObject {
    if (isUnchanged(next, current)) return current;
    const stored = this.#put(path, objectKey(path.namespace, path.name), next, options);
    return isMarked(stored) && !hasFinalizers(stored) && !options.isDryRun ? this.#remove(path, stored) : stored;
  }

  #put(path: ResourcePath, key: string, object: KubernetesObject, options: WriteOptions): KubernetesObject {
    return options.isDryRun ? object : this.#store.put(path.kind.id, key, object);
  }

  /** The objects of a kind go with its definition. What is in a namespace stays. */
  #remove(path: ResourcePath, object: KubernetesObject): KubernetesObject {
    if (path.kind === customResourceDefinitionKind) {
      const { id } = kindOf(object);
      for (const each of [...this.#store.values(id)]) this.#store.delete(id, objectKey(namespaceOf(each), nameOf(each)));
    }
    return this.#store.delete(path.kind.id, objectKey(path.namespace, path.name)) ?? object;
  }

  #owned(
    path: ResourcePath,
    object: KubernetesObject,
    previous: KubernetesObject | undefined,
    options: WriteOptions,
  ): KubernetesObject {
    const author = this.#author(path, options, 'Update');
    return withUpdatedOwnership(object, previous, author, path.kind.structure, this.#surroundings().time);
  }

  #author(path: ResourcePath, options: WriteOptions, operation: ManagerName['operation']): ManagerName {
    return { manager: options.fieldManager, operation, subresource: path.subresource };
  }

  #requireNamespace(path: ResourcePath): void {
    const isThere = path.namespace === '' || this.#store.get('namespaces', path.namespace) !== undefined;
    if (!isThere) throw notFound({ group: '', plural: 'namespaces', kind: 'Namespace' }, path.namespace);
  }

  #surroundings(): Surroundings {
    return serviceSurroundings(this.#store, rfc3339Seconds(this.#clock.nowMs()));
  }
}

function refuseOldVersion(path: ResourcePath, current: KubernetesObject, next: KubernetesObject): void {
  const wanted = next.metadata.resourceVersion;
  if (wanted === undefined || wanted === '' || wanted === current.metadata.resourceVersion) return;
  throw conflict(
    path.kind,
    path.name,
    'the object has been modified; please apply your changes to the latest version and try again',
  );
}

function hasFinalizers(object: KubernetesObject): boolean {
  return listOr(object.metadata.finalizers).length > 0;
}

function isMarked(object: KubernetesObject): boolean {
  return object.metadata.deletionTimestamp !== undefined;
}
