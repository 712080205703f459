/**
 * From what a client sent to what is stored: metadata of the server's own, completion, and checks.
 */
import { randomUUID } from 'node:crypto';
import { type Cause, invalid } from '../http/status-error.ts';
import { cause, type ResourceKind, type Surroundings } from '../kinds/resource-kind.ts';
import { type Json, objectOr, sameJson, without } from '../objects/json.ts';
import { type KubernetesObject, kubernetesObject, nameOf, withField, withMetadata } from '../objects/kubernetes-object.ts';

const NAME = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** Metadata the server decides alone. */
const SERVER_METADATA = ['uid', 'creationTimestamp', 'deletionTimestamp', 'generation', 'resourceVersion'];

/** `object` as it is stored for the first time. Throws a 422 that lists everything that is wrong with it. */
export function admitNew(kind: ResourceKind, object: KubernetesObject, surroundings: Surroundings): KubernetesObject {
  const stamped = withMetadata(object, {
    ...Object.fromEntries(SERVER_METADATA.map((name) => [name, undefined])),
    uid: randomUUID(),
    creationTimestamp: surroundings.time,
    generation: kind.countsGenerations ? 1 : undefined,
  });
  const stateless = kind.hasStatus ? withField(stamped, 'status', undefined) : stamped;
  return checked(kind, kind.complete(tidy(kind, stateless), undefined, surroundings));
}

/** `object` as it replaces `previous`. `subresource` is `status` where only that may change. */
export function admitUpdate(
  kind: ResourceKind,
  object: KubernetesObject,
  previous: KubernetesObject,
  subresource: string,
  surroundings: Surroundings,
): KubernetesObject {
  const kept = Object.fromEntries(SERVER_METADATA.map((name) => [name, previous.metadata[name]]));
  let next = withMetadata(object, kept);
  if (subresource === 'status') next = withField(previous, 'status', object.status);
  else if (kind.hasStatus) next = withField(next, 'status', previous.status);
  next = kind.complete(tidy(kind, next), previous, surroundings);
  const generation = previous.metadata.generation;
  if (typeof generation === 'number' && isNewGeneration(kind, next, previous))
    next = withMetadata(next, { generation: generation + 1 });
  return checked(kind, next);
}

function isNewGeneration(kind: ResourceKind, next: KubernetesObject, previous: KubernetesObject): boolean {
  const essence = (object: KubernetesObject): Json => {
    const content = without(object, 'metadata', 'apiVersion', ...(kind.hasStatus ? ['status'] : []));
    return kind.isCustom ? content : { ...content, labels: objectOr(object.metadata.labels) };
  };
  return !sameJson(essence(next), essence(previous));
}

/** Empty maps and lists of the metadata are the same as none; built-in kinds store no nulls either. */
function tidy(kind: ResourceKind, object: KubernetesObject): KubernetesObject {
  const metadata = Object.entries(object.metadata).filter(([, value]) => {
    if (value === null || value === '') return false;
    return typeof value !== 'object' || Object.keys(value).length > 0;
  });
  const rest = Object.entries(object).filter(([, value]) => kind.isCustom || value !== null);
  return kubernetesObject({ ...Object.fromEntries(rest), metadata: Object.fromEntries(metadata) });
}

function checked(kind: ResourceKind, object: KubernetesObject): KubernetesObject {
  const causes = [...checkMetadata(object), ...kind.check(object)];
  if (causes.length > 0) throw invalid(kind, nameOf(object), causes);
  return object;
}

function checkMetadata(object: KubernetesObject): Cause[] {
  const causes: Cause[] = [];
  const name = nameOf(object);
  if (name === '') causes.push(cause.required('metadata.name'));
  else if (!NAME.test(name)) causes.push(cause.invalid('metadata.name', name, 'must be a lowercase RFC 1123 subdomain'));
  for (const value of Object.values(objectOr(object.metadata.labels))) {
    if (typeof value !== 'string' || !LABEL_VALUE.test(value))
      causes.push(cause.invalid('metadata.labels', value, 'is no label value of at most 63 letters, digits, "-", "_" and "."'));
  }
  for (const value of Object.values(objectOr(object.metadata.annotations))) {
    if (typeof value !== 'string') causes.push(cause.invalid('metadata.annotations', value, 'must be text'));
  }
  return causes;
}
