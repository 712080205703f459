/** How much of a remote cluster is imported by policy, as `status` of the daemon and of the cluster say it. */

import type { MirroredKind } from './etcd/keyspace.ts';

/** Made with the first text: it takes 5 MB of memory. */
let numbers: Intl.NumberFormat | undefined;
const NAMES: Readonly<Record<MirroredKind, string>> = {
  nodes: 'nodes',
  identities: 'identities',
  endpoints: 'endpoints',
  services: 'services',
  endpointslices: 'endpoint slices',
  serviceexports: 'service exports',
};

export interface ImportedCount {
  readonly kind: MirroredKind;
  readonly imported: number;
  /** Keys that the remote has; undefined where the kind is not imported. */
  readonly of: number | undefined;
}

/** `12,000 of 480,000 endpoints imported by policy`; undefined where everything is imported. */
export function importedText(kinds: readonly ImportedCount[]): string | undefined {
  const counted = kinds.flatMap(({ kind, imported, of }) =>
    of === undefined ? [] : [`${withCommas(imported)} of ${withCommas(of)} ${NAMES[kind]}`],
  );
  const left = kinds.filter(({ of }) => of === undefined).map(({ kind }) => NAMES[kind]);
  const texts = [
    ...(counted.length === 0 ? [] : [`${counted.join(', ')} imported by policy`]),
    ...(left.length === 0 ? [] : [`no ${left.join(', ')} imported by policy`]),
  ];
  return texts.length === 0 ? undefined : texts.join('; ');
}

function withCommas(count: number): string {
  numbers ??= new Intl.NumberFormat('en-US');
  return numbers.format(count);
}
