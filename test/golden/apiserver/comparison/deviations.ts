/**
 * Where this program does something else than the original on purpose, and what it does instead.
 *
 * Each entry turns a part of a recorded dump into the dump that is expected of this program, so a deviation is
 * asserted as strictly as all the rest, and one that changes nothing is an error.
 */
import type { DumpEntry } from '../recording/etcd-dump.ts';
import { recordedDump, type Scenario } from '../recording/scenario.ts';

export interface Deviation {
  readonly scenario: string;
  readonly steps: readonly number[];
  /** The keys it is about. */
  readonly keys: RegExp;
  readonly why: string;
  /** `absent`: no such key. `step`: the keys are as recorded after that step. `edit`: their text is changed. */
  readonly ours: 'absent' | { readonly step: number; readonly edit?: Edit } | { readonly edit: Edit };
}

type Edit = (value: string) => string;

const REPAIRED = 'keys that were deleted externally are restored immediately';
const REFILLED = 'an etcd that comes back empty is filled again at once, the cluster configuration with the rest';
const STALE = 'keys of an earlier run whose objects are gone are removed right after the first listing';
const UNPARSABLE = 'an address that cannot be parsed is skipped, rather than exported under the key <nil>';
const MALFORMED = 'a malformed pod CIDR costs its node that CIDR, and other nodes nothing';
const MOVED_SLICE = 'a slice that moves to another service leaves no backends behind';
const NOT_READY = 'an endpoint that is not ready, and does not say that it serves, is no backend';
const YOUNGEST = 'of several objects that claim an address the one created last has it, rather than the first to claim it';
const EXTERNAL_NAME = 'an ExternalName service has no cluster IP, hence no frontend, rather than one without address';
const NAMES = 'endpoint slices of host names are not exported, as readers refuse every address type but IPv4 and IPv6';
const UNLABELLED = 'an identity that loses its namespace label loses its key';

const withoutFrontends: Edit = (value) => value.replace(/"frontends":\{.*?\},"backends"/, '"frontends":{},"backends"');
const withoutBackends =
  (...addresses: readonly string[]): Edit =>
  (value) => {
    const service = JSON.parse(value) as Record<string, Record<string, unknown> | undefined>;
    for (const known of [service.backends, service.hostnames, service.zones]) {
      for (const address of addresses) delete known?.[address];
    }
    return JSON.stringify(service);
  };

export const deviations: readonly Deviation[] = [
  {
    scenario: 'etcd-wiped-keys',
    steps: [2],
    keys: /\/services\/v1\/harbor\/ember\/web$|\/nodes\/v1\/harbor\/pine-1$/,
    why: REPAIRED,
    ours: { step: 1 },
  },
  { scenario: 'etcd-wiped-keys', steps: [3, 4], keys: /\/nodes\/v1\/harbor\/pine-1$/, why: REPAIRED, ours: { step: 1 } },
  { scenario: 'etcd-wiped-keys', steps: [4], keys: /^cilium\/(?:state\/(?!nodes)|synced)/, why: REPAIRED, ours: { step: 3 } },
  {
    scenario: 'etcd-wiped-keys',
    steps: [5],
    keys: /\/(?:identities|ip|serviceexports)\/v1\/|^cilium\/synced/,
    why: REPAIRED,
    ours: { step: 3 },
  },
  { scenario: 'etcd-replaced', steps: [2], keys: /^cilium\//, why: REFILLED, ours: { step: 1 } },
  { scenario: 'etcd-replaced', steps: [3], keys: /^cilium\/cluster-config\//, why: REFILLED, ours: { step: 1 } },
  { scenario: 'etcd-replaced-short-lease', steps: [2], keys: /^cilium\/cluster-config\//, why: REFILLED, ours: { step: 1 } },
  {
    scenario: 'start-existing',
    steps: [5],
    keys: /\/harbor\/pine-1$|\/id\/465001$|\/harbor\/dawn\/web(?:-1)?$/,
    why: STALE,
    ours: 'absent',
  },
  { scenario: 'endpoints-edge', steps: [1, 2, 4], keys: /\/<nil>$/, why: UNPARSABLE, ours: 'absent' },
  { scenario: 'endpoints-conflict', steps: [2, 3], keys: /\/10\.92\.0\.1$/, why: YOUNGEST, ours: { step: 4 } },
  {
    scenario: 'endpoints-conflict',
    steps: [5],
    keys: /\/10\.92\.0\.1$/,
    why: YOUNGEST,
    ours: { edit: (value) => value.replace('461002', '461021').replace('ram-b', 'ram-a') },
  },
  { scenario: 'endpoints-conflict', steps: [6, 7], keys: /\/10\.92\.0\.1$/, why: YOUNGEST, ours: { step: 8 } },
  { scenario: 'ces-conflict', steps: [2, 3], keys: /\/10\.97\.0\.1$/, why: YOUNGEST, ours: { step: 4 } },
  {
    scenario: 'nodes-malformed',
    steps: [2, 3],
    keys: /\/yew-2$/,
    why: MALFORMED,
    ours: { step: 4, edit: (value) => value.replace(/"IPv4AllocCIDR":\{[^}]*\}/, '"IPv4AllocCIDR":null') },
  },
  { scenario: 'nodes-malformed', steps: [3], keys: /\/yew-3$/, why: MALFORMED, ours: { step: 4 } },
  {
    scenario: 'svc-slices-multi',
    steps: [4, 5],
    keys: /\/services\/v1\/harbor\/fleet\/barge$/,
    why: MOVED_SLICE,
    ours: { edit: withoutBackends('10.26.0.1') },
  },
  {
    scenario: 'svc-conditions',
    steps: [1],
    keys: /\/services\/v1\/harbor\/state\/relay$/,
    why: NOT_READY,
    ours: { edit: withoutBackends('10.27.0.19', '10.27.0.20', '10.27.0.21') },
  },
  {
    scenario: 'svc-zones-hints',
    steps: [1],
    keys: /\/services\/v1\/harbor\/map\/atlas$/,
    why: NOT_READY,
    ours: { edit: withoutBackends('10.28.0.6') },
  },
  { scenario: 'svc-types', steps: [1, 2, 3, 4], keys: /\/mill\/extports$/, why: EXTERNAL_NAME, ours: { edit: withoutFrontends } },
  { scenario: 'svc-types', steps: [1, 2, 3], keys: /\/mill\/ext$/, why: EXTERNAL_NAME, ours: { edit: withoutFrontends } },
  { scenario: 'svc-slice-ports', steps: [1, 2, 3], keys: /\/shape\/(?:fqdn-1|mixed-f)$/, why: NAMES, ours: 'absent' },
  { scenario: 'identities-edge', steps: [2, 3], keys: /\/id\/(?:196608|65536)$/, why: UNLABELLED, ours: 'absent' },
];

/**
 * Differences if the daemon was restarted in each step: a run has the current state, not the previous one. The original
 * leaves the same to chance there.
 */
export const restartDeviations: readonly Deviation[] = [
  {
    scenario: 'identities-edge',
    steps: [2],
    keys: /\/id\/256$/,
    why: 'a new run does not know what was exported of an object before its namespace became an unknown one',
    ours: 'absent',
  },
];

/** What this program is to leave in etcd after a step: what was recorded, with the deviations in place. */
export function expectedDump(scenario: Scenario, step: number, isRestarted = false): readonly DumpEntry[] {
  const ours = [...deviations, ...(isRestarted ? restartDeviations : [])].filter(
    (each) => each.scenario === scenario.name && each.steps.includes(step),
  );
  return marked(ours.reduce((dump, deviation) => deviated(dump, deviation, scenario), recordedDump(scenario, step)));
}

/** In every scenario, as soon as the daemon has written anything: a key for agents of 1.15, which 1.20 does not write any more. */
function marked(dump: readonly DumpEntry[]): readonly DumpEntry[] {
  const marker = { key: 'cilium/.has-cluster-config', value: 'true', leased: true };
  return dump.some(({ leased }) => leased) ? [marker, ...dump].toSorted((a, b) => (a.key < b.key ? -1 : 1)) : dump;
}

function deviated(dump: readonly DumpEntry[], { keys, ours }: Deviation, scenario: Scenario): readonly DumpEntry[] {
  const concerned = ({ key }: DumpEntry) => keys.test(key);
  const others = dump.filter((entry) => !concerned(entry));
  if (ours === 'absent') return others;
  const source = 'step' in ours ? recordedDump(scenario, ours.step) : dump;
  const replaced = source.filter(concerned).map((entry) => edited(entry, ours.edit));
  return [...others, ...replaced].toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

function edited(entry: DumpEntry, edit: Edit | undefined): DumpEntry {
  return edit === undefined || typeof entry.value !== 'string' ? entry : { ...entry, value: edit(entry.value) };
}
