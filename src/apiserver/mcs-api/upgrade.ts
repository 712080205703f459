/**
 * Whether to upgrade an existing CRD or to leave it unchanged.
 *
 * Cilium's operator installs the same CRDs and uses the same labels: an older release, or an older schema revision of the
 * same release, is replaced, never a newer one. In addition to the operator's rules, a CRD of unknown release
 * or with another manager is not changed.
 */
import { type JsonRecord, recordOf } from '../../shared/kubernetes/objects/json.ts';
import { type CustomResourceDefinition, RELEASE_LABEL, REVISION_LABEL } from './crds.ts';

export type Verdict =
  | { readonly is: 'current' }
  | { readonly is: 'foreign'; readonly reason: string }
  /** `object` replaces the existing CRD if that is unchanged. */
  | { readonly is: 'older'; readonly object: object };

/** Compares what the API server holds with `ours`. An upgrade keeps every version that objects are stored in. */
export function judge(found: JsonRecord, ours: CustomResourceDefinition): Verdict {
  const metadata = recordOf(found.metadata);
  const labels = recordOf(metadata.labels);
  const age = ageOf(labels);
  const ourAge = ageOf(ours.metadata.labels);
  if (age === undefined || ourAge === undefined) {
    return { is: 'foreign', reason: `its labels ${RELEASE_LABEL} and ${REVISION_LABEL} do not identify a release` };
  }
  if (compare(age, ourAge) >= 0) return { is: 'current' };
  const reason = foreignReason(found, ours);
  if (reason !== undefined) return { is: 'foreign', reason };
  const upgraded = { ...metadata, labels: { ...labels, ...ours.metadata.labels } };
  return { is: 'older', object: { ...found, metadata: upgraded, spec: ours.spec } };
}

/** Why an older CRD is not ours to upgrade; undefined where it is. */
function foreignReason(found: JsonRecord, ours: CustomResourceDefinition): string | undefined {
  const { labels, ownerReferences, deletionTimestamp } = recordOf(found.metadata);
  const manager = recordOf(labels)['app.kubernetes.io/managed-by'];
  if (deletionTimestamp !== undefined) return 'it is being deleted';
  if (manager !== undefined) return `it is managed by ${String(manager)}, according to its label app.kubernetes.io/managed-by`;
  if (arrayOf(ownerReferences).length > 0) return 'it is owned by another object';
  const spec = recordOf(found.spec);
  if ((recordOf(spec.conversion).strategy ?? 'None') !== 'None') return 'it uses a conversion webhook';
  const versions = [...arrayOf(spec.versions).map((version) => recordOf(version).name), ...storedVersions(found)];
  const unknown = versions.find((name) => !ours.spec.versions.some((version) => version.name === name));
  return unknown === undefined ? undefined : `it has the version ${String(unknown)}`;
}

function storedVersions(found: JsonRecord): readonly unknown[] {
  return arrayOf(recordOf(found.status).storedVersions);
}

function arrayOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Release and schema revision, the most significant number first; undefined if the labels do not contain them. */
function ageOf(labels: JsonRecord): readonly number[] | undefined {
  const [release, revision] = [labels[RELEASE_LABEL], labels[REVISION_LABEL]];
  const match = /^v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})\/(\d{1,6})$/.exec(`${String(release)}/${String(revision)}`);
  return match?.slice(1).map(Number);
}

/** Below 0 where `one` is older. */
function compare(one: readonly number[], other: readonly number[]): number {
  const index = one.findIndex((number, at) => number !== other[at]);
  return index === -1 ? 0 : (one[index] ?? 0) - (other[index] ?? 0);
}
