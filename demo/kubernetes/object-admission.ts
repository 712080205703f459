/**
 * From what a client sent to what is stored: metadata of the server's own, completion, and checks.
 */
import { randomUUID } from 'node:crypto';
import { isObject, type Json, listOr, objectOr, sameJson, textOf, without } from './json.ts';
import { type KubernetesObject, kubernetesObject, nameOf, withField, withMetadata } from './kubernetes-object.ts';
import { MAX_ANNOTATION_BYTES } from './limits.ts';
import { cause, type NameRule, type ResourceKind, type Surroundings } from './resource-kind.ts';
import { type Cause, invalid } from './status-error.ts';

const LABEL_NAME = /^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const NAME_RULES: Readonly<Record<NameRule, { readonly form: RegExp; readonly limit: number; readonly text: string }>> = {
  label: { form: /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/, limit: 63, text: 'a lowercase RFC 1123 label' },
  'label-1035': { form: /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/, limit: 63, text: 'a DNS-1035 label' },
  subdomain: {
    form: /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/,
    limit: 253,
    text: 'a lowercase RFC 1123 subdomain',
  },
};

/** Metadata the server decides alone. */
const SERVER_METADATA = ['uid', 'creationTimestamp', 'deletionTimestamp', 'generation', 'resourceVersion', 'selfLink'];

/** `object` as it is stored for the first time. Throws a 422 that lists everything that is wrong with it. */
export function admitNew(kind: ResourceKind, object: KubernetesObject, surroundings: Surroundings): KubernetesObject {
  const named = withGeneratedName(object);
  const stamped = withMetadata(named, {
    ...Object.fromEntries(SERVER_METADATA.map((name) => [name, undefined])),
    uid: randomUUID(),
    creationTimestamp: surroundings.time,
    generation: kind.countsGenerations ? 1 : undefined,
  });
  const stateless = kind.hasStatus ? withField(stamped, 'status', undefined) : stamped;
  return checked(kind, kind.rules.complete(tidy(kind, stateless), undefined, surroundings), undefined);
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
  if (subresource === 'status') {
    next = withField(withMetadata(previous, { managedFields: object.metadata.managedFields }), 'status', object.status);
  } else if (kind.hasStatus) next = withField(next, 'status', previous.status);
  next = kind.rules.complete(tidy(kind, next), previous, surroundings);
  const generation = previous.metadata.generation;
  if (typeof generation === 'number' && isNewGeneration(kind, next, previous))
    next = withMetadata(next, { generation: generation + 1 });
  return checked(kind, next, previous);
}

/** True where the two differ in nothing but what the server itself keeps record of. */
export function isUnchanged(a: KubernetesObject, b: KubernetesObject): boolean {
  const essence = (object: KubernetesObject) => {
    const managers = listOr(object.metadata.managedFields).map((entry) => (isObject(entry) ? without(entry, 'time') : entry));
    return { ...object, metadata: { ...without(object.metadata, 'resourceVersion'), managedFields: managers } };
  };
  return sameJson(essence(a), essence(b));
}

function isNewGeneration(kind: ResourceKind, next: KubernetesObject, previous: KubernetesObject): boolean {
  const essence = (object: KubernetesObject): Json => {
    const content = without(object, 'metadata', 'apiVersion', ...(kind.hasStatus ? ['status'] : []));
    return kind.isCustom ? content : { ...content, labels: objectOr(object.metadata.labels) };
  };
  return !sameJson(essence(next), essence(previous));
}

function withGeneratedName(object: KubernetesObject): KubernetesObject {
  const prefix = textOf(object.metadata.generateName);
  if (prefix === undefined || nameOf(object) !== '') return object;
  return withMetadata(object, { name: `${prefix}${randomUUID().replaceAll('-', '').slice(0, 5)}` });
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

function checked(kind: ResourceKind, object: KubernetesObject, previous: KubernetesObject | undefined): KubernetesObject {
  const causes = [...checkMetadata(kind, object), ...kind.rules.check(object, previous)];
  if (causes.length > 0) throw invalid(kind, nameOf(object), causes);
  return object;
}

function checkMetadata(kind: ResourceKind, object: KubernetesObject): Cause[] {
  const causes: Cause[] = [];
  const name = nameOf(object);
  const { form, limit, text } = NAME_RULES[kind.nameRule];
  if (name === '') causes.push(cause.required('metadata.name', 'name or generateName is required'));
  else if (!form.test(name) || name.length > limit)
    causes.push(cause.invalid('metadata.name', name, `must be ${text} of at most ${limit} characters`));
  for (const [label, value] of Object.entries(objectOr(object.metadata.labels))) {
    if (!LABEL_NAME.test(label)) causes.push(cause.invalid('metadata.labels', label, 'is no qualified name'));
    if (typeof value !== 'string' || !LABEL_VALUE.test(value))
      causes.push(cause.invalid('metadata.labels', value, 'is no label value of at most 63 letters, digits, "-", "_" and "."'));
  }
  const annotations = Object.entries(objectOr(object.metadata.annotations));
  for (const [annotation, value] of annotations) {
    if (!LABEL_NAME.test(annotation.toLowerCase()))
      causes.push(cause.invalid('metadata.annotations', annotation, 'is no qualified name'));
    if (typeof value !== 'string') causes.push(cause.invalid('metadata.annotations', value, 'must be text'));
  }
  const bytes = annotations.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(String(value)), 0);
  if (bytes > MAX_ANNOTATION_BYTES)
    causes.push({
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${MAX_ANNOTATION_BYTES} bytes`,
      field: 'metadata.annotations',
    });
  return causes;
}
