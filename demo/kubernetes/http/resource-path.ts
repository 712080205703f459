/**
 * What a path of the API means: `/api/v1/namespaces/shop/services/web/status`.
 */
import type { KindRegistry } from '../kinds/kind-registry.ts';
import { apiVersionOf, type ResourceKind } from '../kinds/resource-kind.ts';

export interface ResourcePath {
  readonly kind: ResourceKind;
  /** The version the client speaks. */
  readonly version: string;
  /** Of that version: `discovery.k8s.io/v1`. */
  readonly apiVersion: string;
  /** Empty for all namespaces, and for kinds of no namespace. */
  readonly namespace: string;
  /** Empty for the collection. */
  readonly name: string;
  /** `status`, or empty. */
  readonly subresource: string;
}

/** The resource `pathname` names; undefined where it names none that is served. */
export function parseResourcePath(pathname: string, kinds: KindRegistry): ResourcePath | undefined {
  let segments: string[];
  try {
    segments = pathname.split('/').slice(1).map(decodeURIComponent);
  } catch {
    return undefined;
  }
  const [root, ...rest] = segments;
  if (root !== 'api' && root !== 'apis') return undefined;
  const group = root === 'api' ? '' : rest.shift();
  const version = rest.shift();
  if (group === undefined || version === undefined || rest.some((each) => each === '')) return undefined;
  const { namespace, plural, name, subresource, isTooLong } = splitBelowVersion(rest, group);
  const kind = kinds.find(group, version, plural);
  if (kind === undefined || isTooLong) return undefined;
  if (kind.namespaced ? namespace === '' && name !== '' : namespace !== '') return undefined;
  if (subresource !== '' && !(subresource === 'status' && kind.hasStatus)) return undefined;
  return { kind, version, apiVersion: apiVersionOf(group, version), namespace, name, subresource };
}

function splitBelowVersion(segments: readonly string[], group: string) {
  const isNamespaceItself = group === '' && (segments.length < 3 || segments[2] === 'status');
  const isInNamespace = segments[0] === 'namespaces' && !isNamespaceItself;
  const [plural = '', name = '', subresource = '', ...more] = isInNamespace ? segments.slice(2) : segments;
  return { namespace: isInNamespace ? (segments[1] ?? '') : '', plural, name, subresource, isTooLong: more.length > 0 };
}
