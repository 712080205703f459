/**
 * Which sections an audit reads with one list: with hundreds of remote clusters there are thousands of sections of a few keys each.
 *
 * etcd walks over all keys of a range, also where it answers only those that were written since a revision. So a range has a bound.
 */
import { type EtcdKey, prefixEnd } from '../etcd/types.ts';
import { MAX_SHARED_AUDIT_KEYS } from '../limits.ts';

/** What has to be known of a section. `keys`: about how many it has. */
export interface Auditable {
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
 * Sections that differ in the last part of their prefixes only, in the order of their keys, and no more together than the bound
 * where it is more than one.
 */
export function* sharedRanges<Section>(
  sections: Iterable<Section>,
  describe: (section: Section) => Auditable,
): Generator<readonly Section[], void> {
  const byParent = Map.groupBy(
    Array.from(sections, (section) => ({ section, ...describe(section) })),
    ({ prefix }) => parentOf(prefix),
  );
  for (const siblings of byParent.values()) {
    let range: Section[] = [];
    let rangeKeys = 0;
    for (const { section, keys } of siblings.toSorted((a, b) => (a.prefix < b.prefix ? -1 : 1))) {
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
  return { prefix: parentOf(first), start: first, end: prefixEnd(last) };
}

/** `cilium/cache/nodes/v1/` of `cilium/cache/nodes/v1/west/`. */
function parentOf(prefix: EtcdKey): EtcdKey {
  return prefix.slice(0, prefix.lastIndexOf('/', prefix.length - 2) + 1) as EtcdKey;
}
