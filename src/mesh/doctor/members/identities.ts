/** The number of security identities: 24 bits less those of the cluster ID. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { failed, passed, warned } from '../catalogue.ts';
import type { Member } from '../facts.ts';
import { sizeOf } from './ids.ts';

/** Of 255 clusters 16 bits remain, of 511 clusters 15. */
const MAX_IDENTITIES = 65_535;
const MAX_IDENTITIES_OF_511 = 32_767;
const NEARLY_ALL = 0.8;

export function identityCount(member: Member): readonly Finding[] {
  const { identities, label } = member;
  if (identities === 'unread') return [];
  const limit = sizeOf(member) === 511 ? MAX_IDENTITIES_OF_511 : MAX_IDENTITIES;
  const text = `${identities} of at most ${limit} identities`;
  if (identities < limit * NEARLY_ALL) return [passed('identity-count', label, text)];
  const remedy =
    'exclude labels with many values from identities with the setting labels of Cilium, and delete identities that no endpoint has';
  return [(identities >= limit ? failed : warned)('identity-count', label, text, remedy)];
}
