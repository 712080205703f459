/**
 * The object in the body of a request, made to agree with the path it was sent to.
 */
import type { JsonObject } from './json.ts';
import { textOf } from './json.ts';
import { type KubernetesObject, kubernetesObject, nameOf, namespaceOf, withField, withMetadata } from './kubernetes-object.ts';
import { apiVersionOf } from './resource-kind.ts';
import type { ResourcePath } from './resource-path.ts';
import { badRequest } from './status-error.ts';

/** `body` with the namespace and name of `path`. Throws a 400 where the body says otherwise. */
export function addressed(path: ResourcePath, body: JsonObject): KubernetesObject {
  const object = kubernetesObject(body);
  const { apiVersion = path.apiVersion, kind = path.kind.kind } = {
    apiVersion: textOf(body.apiVersion),
    kind: textOf(body.kind),
  };
  if (apiVersion !== path.apiVersion || kind !== path.kind.kind)
    throw badRequest(`${apiVersion} ${kind} in the body does not match ${path.apiVersion} ${path.kind.kind} of the path`);
  if (path.name !== '' && nameOf(object) !== '' && nameOf(object) !== path.name)
    throw badRequest(`the name of the object (${nameOf(object)}) does not match the name on the URL (${path.name})`);
  if (namespaceOf(object) !== '' && namespaceOf(object) !== path.namespace)
    throw badRequest(
      `the namespace of the object (${namespaceOf(object)}) does not match the namespace on the URL (${path.namespace})`,
    );
  return {
    ...withMetadata(object, {
      name: path.name === '' ? object.metadata.name : path.name,
      namespace: path.namespace === '' ? undefined : path.namespace,
    }),
    apiVersion,
    kind,
  };
}

/** `object` as it is kept, whatever version its author speaks. */
export function inStorageVersion(path: ResourcePath, object: KubernetesObject): KubernetesObject {
  return { ...object, apiVersion: apiVersionOf(path.kind.group, path.kind.storageVersion) };
}

/** The part of `object` that may be stated through `path`: all but the status, or nothing else. */
export function ownFieldsOf(path: ResourcePath, object: KubernetesObject): KubernetesObject {
  const bare = withMetadata(object, { resourceVersion: undefined });
  if (path.subresource !== 'status') return path.kind.hasStatus ? withField(bare, 'status', undefined) : bare;
  const { apiVersion, kind, metadata, status } = bare;
  const { name, namespace } = metadata;
  const named = { ...(name === undefined ? {} : { name }), ...(namespace === undefined ? {} : { namespace }) };
  return { apiVersion, kind, metadata: named, ...(status === undefined ? {} : { status }) };
}
