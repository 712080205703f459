/**
 * CiliumIdentity → one key below `cilium/state/identities/v1/id/`.
 *
 * The value is label text, not JSON: `source:key=value;` for each label, sorted by key alone (the source plays
 * no part in the order). Readers split at the first `=` and at `;`, so values travel as they are.
 */
import type { CiliumIdentity } from '../../shared/kubernetes/objects/types.ts';
import { compareBytes } from '../encoding/go-json.ts';
import { type Cluster, identityKey } from '../encoding/keyspace.ts';
import type { Conversion } from './conversion.ts';

/** The namespace an identity belongs to. The metadata label of that meaning is a copy for selectors and plays no part. */
const NAMESPACE_LABEL = 'k8s:io.kubernetes.pod.namespace';

/** The source of a label that names none. */
const UNSPECIFIED = 'unspec';

/** The source of Cilium's own labels, which have short forms: `$host`, `reserved.host`, and `reserved:` with the value `host`. */
const RESERVED = 'reserved';
const RESERVED_SIGN = '$';
const RESERVED_PREFIX = 'reserved.';

interface Label {
  readonly source: string;
  readonly key: string;
  readonly value: string;
}

/** The namespace that owns the identity; empty where none does, as with reserved identities and those of CIDRs. */
export function namespaceOfIdentity(identity: CiliumIdentity): string {
  const labels = identity['security-labels'];
  return (labels && Object.hasOwn(labels, NAMESPACE_LABEL) && labels[NAMESPACE_LABEL]) || '';
}

/**
 * The keys of `identity`: none if no namespace owns it.
 *
 * None, too, if its labels were removed. Upstream ignores that update and keeps the old
 * key with the removed labels until the object is deleted.
 */
export function convertIdentity(cluster: Cluster, identity: CiliumIdentity): Conversion {
  if (namespaceOfIdentity(identity) === '') return { entries: [], rejected: [] };
  const value = Buffer.from(labelText(identity['security-labels'] ?? {}));
  return { entries: [{ key: identityKey(cluster, identity.metadata.name), value }], rejected: [] };
}

function labelText(labels: Readonly<Record<string, string>>): string {
  return distinctLabels(labels)
    .sort((a, b) => compareBytes(a.key, b.key))
    .map(({ source, key, value }) => `${source}:${key}=${value};`)
    .join('');
}

/** Readers have one label per key: of several sources the last one in name order is used, the same in every run. */
function distinctLabels(labels: Readonly<Record<string, string>>): Label[] {
  const byKey = new Map<string, Label>();
  for (const [name, value] of Object.entries(labels).sort(([a], [b]) => compareBytes(a, b))) {
    const label = parseLabel(name, value);
    byKey.set(label.key, label);
  }
  return [...byKey.values()];
}

/** As agents read a label, the short forms of reserved ones included. */
function parseLabel(name: string, value: string): Label {
  const { source, key } = splitSource(name);
  return source === RESERVED && key === '' ? { source, key: value, value: '' } : { source, key, value };
}

function splitSource(name: string): { source: string; key: string } {
  if (name.startsWith(RESERVED_SIGN)) return { source: RESERVED, key: name.slice(RESERVED_SIGN.length) };
  const colon = name.indexOf(':');
  if (colon < 0 && name.startsWith(RESERVED_PREFIX)) return { source: RESERVED, key: name.slice(RESERVED_PREFIX.length) };
  return { source: name.slice(0, Math.max(0, colon)) || UNSPECIFIED, key: name.slice(colon + 1) };
}
