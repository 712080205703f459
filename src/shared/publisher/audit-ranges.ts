/**
 * Which sections an audit reads with one list: with hundreds of remote clusters there are thousands of sections of a few keys each.
 *
 * etcd walks over all keys of a range, also where it answers only those that were written since a revision. So a range has a bound.
 */
import { type EtcdKey, prefixEnd } from '../etcd/types.ts';
import { MAX_SHARED_AUDIT_KEYS } from '../limits.ts';

/** What has to be known of a section. `keys`: about how many it has. */
export interface Auditable {
  readonly scope: string;
  readonly prefix: EtcdKey;
  readonly keys: number;
}

/** One list: `end` is undefined for everything below `prefix`, else the list reads from `start` and up to `end`. */
export interface AuditRange {
  readonly prefix: EtcdKey;
  readonly start: EtcdKey | undefined;
  readonly end: EtcdKey | undefined;
}

/**
 * Sections of one scope in the order of their keys, with no more keys together than the bound where there are several.
 */
export function* sharedRanges<Section>(
  sections: Iterable<Section>,
  describe: (section: Section) => Auditable,
): Generator<readonly Section[], void> {
  const byScope = Map.groupBy(
    Array.from(sections, (section) => ({ section, ...describe(section) })),
    ({ scope }) => scope,
  );
  for (const ofScope of byScope.values()) {
    let range: Section[] = [];
    let rangeKeys = 0;
    for (const { section, keys } of ofScope.toSorted((a, b) => (a.prefix < b.prefix ? -1 : 1))) {
      if (range.length > 0 && rangeKeys + keys > MAX_SHARED_AUDIT_KEYS) {
        yield range;
        [range, rangeKeys] = [[], 0];
      }
      range.push(section);
      rangeKeys += keys;
    }
    yield range;
  }
}

/** `prefixes`: at least one, as `sharedRanges` orders them. */
export function rangeOf(prefixes: readonly EtcdKey[]): AuditRange {
  const [first, last] = [prefixes[0] as EtcdKey, prefixes.at(-1) as EtcdKey];
  if (first === last) return { prefix: first, start: undefined, end: undefined };
  return { prefix: commonStart(first, last), start: first, end: prefixEnd(last) };
}

function commonStart(first: EtcdKey, last: EtcdKey): EtcdKey {
  let length = 0;
  while (length < first.length && first[length] === last[length]) length += 1;
  return first.slice(0, length) as EtcdKey;
}
