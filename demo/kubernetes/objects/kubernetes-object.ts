/**
 * A Kubernetes object as stored and served, and the few fields every kind has.
 */
import { at, type Json, type JsonObject, objectOr, textOf, withFields } from './json.ts';

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: JsonObject;
  readonly [field: string]: Json;
}

/** `value` as an object with metadata, which is made empty where it is missing. */
export function kubernetesObject(value: JsonObject): KubernetesObject {
  return {
    ...value,
    apiVersion: textOf(value.apiVersion) ?? '',
    kind: textOf(value.kind) ?? '',
    metadata: objectOr(value.metadata),
  };
}

export function nameOf(object: JsonObject): string {
  return textOf(at(object, 'metadata', 'name')) ?? '';
}

/** Empty for objects of no namespace. */
export function namespaceOf(object: JsonObject): string {
  return textOf(at(object, 'metadata', 'namespace')) ?? '';
}

/** What an object is found by within its kind; sorts as Kubernetes lists do. */
export function objectKey(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}

/** Labels of a stored object are text. */
export function labelsOf(object: JsonObject): Readonly<Record<string, string>> {
  return objectOr(at(object, 'metadata', 'labels')) as Readonly<Record<string, string>>;
}

/** `object` with some of its metadata changed; undefined takes a field away. */
export function withMetadata(object: KubernetesObject, fields: Readonly<Record<string, Json | undefined>>): KubernetesObject {
  return { ...object, metadata: withFields(object.metadata, fields) };
}

/** `object` with a top-level field changed; undefined takes it away. */
export function withField(object: KubernetesObject, name: string, value: Json | undefined): KubernetesObject {
  return kubernetesObject(withFields(object, { [name]: value }));
}

/** `object` as a client of `apiVersion` sees it. Versions of a kind differ in their name only. */
export function inVersion(object: KubernetesObject, apiVersion: string): KubernetesObject {
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}
