/** Which CRDs are upgraded, and which are left alone. */
import { expect, test } from 'vitest';
import {
  type CustomResourceDefinition,
  MCS_API_CRDS,
  RELEASE_LABEL,
  REVISION_LABEL,
} from '../../../src/apiserver/mcs-api/crds.ts';
import { judge } from '../../../src/apiserver/mcs-api/upgrade.ts';

const base = MCS_API_CRDS[0] as CustomResourceDefinition;
const aged = (release: string, revision: string): CustomResourceDefinition => ({
  ...base,
  metadata: { ...base.metadata, labels: { [RELEASE_LABEL]: release, [REVISION_LABEL]: revision } },
});
const ours = aged('v0.5.0', '3');

test.for([
  ['v0.4.9', '12', 'older'],
  ['0.3.0', '1', 'older'],
  ['v0.5.0', '2', 'older'],
  ['v0.5.0', '3', 'current'],
  ['v0.5.0', '10', 'current'],
  ['v0.5.1', '0', 'current'],
  ['v0.10.0', '0', 'current'],
  ['v1.0.0', '0', 'current'],
  ['v0.4.0-rc.1', '0', 'foreign'],
  ['', '0', 'foreign'],
  ['v0.4.0', 'new', 'foreign'],
  ['v0.4', '0', 'foreign'],
] as const)('release %s with schema revision %s is %s beside v0.5.0 with 3', ([release, revision, verdict]) => {
  expect(judge({ ...aged(release, revision) }, ours).is).toBe(verdict);
});

test('a CRD without the labels is left alone', () => {
  const bare = { ...base, metadata: { name: base.metadata.name } };
  expect(judge(bare, ours)).toEqual({ is: 'foreign', reason: expect.stringContaining(RELEASE_LABEL) });
  expect(judge({}, ours).is).toBe('foreign');
});

const older = aged('v0.3.0', '1');
const withMetadata = (more: object) => ({ ...older, metadata: { ...older.metadata, ...more } });
const foreign: ReadonlyArray<readonly [string, object, RegExp]> = [
  ['another storage version', { ...older, status: { storedVersions: ['v1alpha1', 'v1alpha0'] } }, /version v1alpha0/],
  ['another version', { ...older, spec: { ...older.spec, versions: [...older.spec.versions, { name: 'v1' }] } }, /version v1$/],
  ['a conversion of its own', { ...older, spec: { ...older.spec, conversion: { strategy: 'Webhook' } } }, /webhook/],
  ['an owner', withMetadata({ ownerReferences: [{ name: 'operator' }] }), /another object/],
  [
    'a manager',
    withMetadata({ labels: { ...older.metadata.labels, 'app.kubernetes.io/managed-by': 'Helm' } }),
    /managed by Helm/,
  ],
  ['a deletion under way', withMetadata({ deletionTimestamp: '2026-01-01T00:00:00Z' }), /being deleted/],
];

test.for(foreign)('an older CRD with %s is left alone, for that reason', ([, found, reason]) => {
  expect(judge({ ...found }, ours)).toEqual({ is: 'foreign', reason: expect.stringMatching(reason) });
});

test('an upgrade takes labels and spec of ours, and keeps the rest of what was found', () => {
  const found = {
    ...withMetadata({ resourceVersion: '7', labels: { ...older.metadata.labels, team: 'net' }, annotations: { note: 'x' } }),
    spec: { ...older.spec, conversion: { strategy: 'None' }, versions: [{ name: 'v1alpha1' }] },
    status: { storedVersions: ['v1alpha1'] },
  };
  expect(judge(found, ours)).toEqual({
    is: 'older',
    object: {
      ...found,
      metadata: { ...found.metadata, labels: { ...ours.metadata.labels, team: 'net' } },
      spec: ours.spec,
    },
  });
});
