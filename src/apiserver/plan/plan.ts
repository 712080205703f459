/**
 * What a selector of endpoints would export and withdraw, compared with the present one.
 *
 * Objects are taken one at a time, and none is kept: the memory is that of the namespaces, and of a record for each identity. Which
 * Pods and identities are exported is decided by the functions of the daemon. Where several objects claim an address, each counts.
 */
import { endpointKind, IDENTITIES } from '../cilium-kinds.ts';
import { WITHHELD } from '../converters/conversion.ts';
import type { Pod, Pods } from '../converters/pods.ts';
import { convertPods } from '../converters/pods.ts';
import type { Cluster } from '../encoding/keyspace.ts';
import { whereExported } from '../export/export-rules.ts';
import type { LabelSelector } from '../export/label-selector.ts';
import type { Namespaces } from '../export/namespaces.ts';
import { exportedPods, type IdentitySelection, identitiesOf, selectsIdentity } from '../export/selection/pod-selection.ts';

/** What is exported of one kind of things, with the present selector and with the other one. */
export interface Comparison {
  readonly present: number;
  readonly planned: number;
  readonly added: number;
  readonly withdrawn: number;
}

export interface NamespacePlan extends Comparison {
  readonly namespace: string;
  /** With an address, exported or not. */
  readonly endpoints: number;
  readonly examples: { readonly added: readonly string[]; readonly withdrawn: readonly string[] };
}

export interface ExportPlanResult {
  readonly selector: { readonly present: string; readonly planned: string };
  readonly endpoints: Comparison;
  readonly addresses: Comparison;
  readonly identities: Comparison;
  /** Endpoints of exported namespaces that the other selector does not export because their labels are not known. */
  readonly unknownLabels: number;
  /** Objects that the API server sent in a form that is not that of their kind. */
  readonly malformed: number;
  /** By name. */
  readonly namespaces: readonly NamespacePlan[];
}

export interface ExportPlanOptions {
  readonly namespaces: Namespaces;
  readonly usesEndpointSlices: boolean;
  readonly present: LabelSelector;
  readonly planned: LabelSelector;
  /** Pods to name in each namespace. */
  readonly examples: number;
}

/** Both selectors, in this order everywhere. */
type Pair<T> = readonly [present: T, planned: T];

interface IdentityRecord {
  /** Whether its labels are selected. */
  readonly isSelected: Pair<boolean>;
  /** Whether it is exported where nothing is selected by labels; and if it is used, where something is. */
  readonly isExportable: Pair<boolean>;
  readonly isUsed: [boolean, boolean];
}

interface Tally {
  endpoints: number;
  present: number;
  added: number;
  withdrawn: number;
  readonly examples: { readonly added: string[]; readonly withdrawn: string[] };
}

/** Keys of the plan are counted and dropped, so that the name of the cluster plays no part. */
const NO_CLUSTER: Cluster = { name: '', id: 0 };

export class ExportPlan {
  readonly #options: ExportPlanOptions;
  readonly #identities = new Map<string, IdentityRecord>();
  readonly #selections: Pair<IdentitySelection | undefined>;
  readonly #projections: Pair<(raw: unknown) => Pods>;
  #tallies = new Map<string, Tally>();
  #addresses: Comparison = NOTHING;
  #unknownLabels = 0;

  constructor(options: ExportPlanOptions) {
    this.#options = options;
    const { present, planned, usesEndpointSlices } = options;
    this.#selections = bothOf([present, planned], ({ text }, at) =>
      text === '' ? undefined : (identity) => this.#identities.get(identity)?.isSelected[at],
    );
    this.#projections = bothOf(
      [present, planned],
      (selector) => endpointKind(usesEndpointSlices, selector.text === '' ? undefined : selector).project,
    );
  }

  /** An object as the API server sent it; all of them before the first with endpoints. Throws ShapeError. */
  identity(raw: unknown): void {
    const { namespaces, present, planned } = this.#options;
    const identity = IDENTITIES.project(raw);
    const convert = () => IDENTITIES.convert(NO_CLUSTER, identity);
    const isExportable = bothOf([present, planned], ({ text }) => {
      if (text !== '') return convert().entries.length > 0;
      const decision = whereExported(namespaces, IDENTITIES.namespaceOf(identity), convert);
      return typeof decision === 'object' && decision.entries.length > 0;
    });
    const isSelected = bothOf([present, planned], (selector) => selectsIdentity(selector, identity));
    this.#identities.set(identity.metadata.name, { isSelected, isExportable, isUsed: [false, false] });
  }

  /** The same of a CiliumEndpoint or CiliumEndpointSlice. */
  endpoints(raw: unknown): void {
    const { namespaces, examples } = this.#options;
    const objects = bothOf(this.#projections, (project) => project(raw));
    const exported = bothOf(objects, (object, at) => new Set(exportedPods(namespaces, object, this.#selections[at])));
    for (const [at, pods] of exported.entries()) {
      for (const identity of identitiesOf([...pods])) {
        const record = this.#identities.get(identity);
        if (record !== undefined) record.isUsed[at] = true;
      }
    }
    const [before, after] = objects;
    for (const [index, pod] of before.pods.entries()) {
      if (pod.addresses.length === 0) continue;
      const other = after.pods[index] ?? pod;
      this.#tally(before.namespace, pod, [exported[0].has(pod), exported[1].has(other)], examples);
      this.#countUnknown(after, other);
    }
    const keys = bothOf(objects, (object, at) => addressesOf(object, exported[at]));
    this.#addresses = sum(this.#addresses, compared(keys));
  }

  /** All objects with endpoints come again. */
  restartEndpoints(): void {
    this.#tallies = new Map();
    this.#addresses = NOTHING;
    this.#unknownLabels = 0;
    for (const { isUsed } of this.#identities.values()) isUsed.fill(false);
  }

  result(malformed: number): ExportPlanResult {
    const { present, planned } = this.#options;
    const namespaces = [...this.#tallies]
      .map(([namespace, tally]) => ({ namespace, ...tally, planned: tally.present + tally.added - tally.withdrawn }))
      .toSorted((a, b) => (a.namespace < b.namespace ? -1 : 1));
    return {
      selector: { present: present.text, planned: planned.text },
      endpoints: namespaces.reduce<Comparison>(sum, NOTHING),
      addresses: this.#addresses,
      identities: this.#comparedIdentities(),
      unknownLabels: this.#unknownLabels,
      malformed,
      namespaces,
    };
  }

  #tally(namespace: string, pod: Pod, [isPresent, isPlanned]: Pair<boolean>, examples: number): void {
    let tally = this.#tallies.get(namespace);
    if (tally === undefined) {
      tally = { endpoints: 0, present: 0, added: 0, withdrawn: 0, examples: { added: [], withdrawn: [] } };
      this.#tallies.set(namespace, tally);
    }
    tally.endpoints += 1;
    if (isPresent) tally.present += 1;
    if (isPresent === isPlanned) return;
    const change = isPlanned ? 'added' : 'withdrawn';
    tally[change] += 1;
    if (tally.examples[change].length < examples) tally.examples[change].push(`${pod.name} (${pod.addresses.join(', ')})`);
  }

  #countUnknown(object: Pods, pod: Pod): void {
    const selection = this.#selections[1];
    if (selection === undefined || object.isSelected !== undefined) return;
    if (this.#options.namespaces.isExported(object.namespace) !== true) return;
    if (selection(String(pod.identity)) === undefined) this.#unknownLabels += 1;
  }

  #comparedIdentities(): Comparison {
    const { present, planned } = this.#options;
    let total = NOTHING;
    for (const { isExportable, isUsed } of this.#identities.values()) {
      const isExported = bothOf([present, planned], ({ text }, at) => isExportable[at] && (text === '' || isUsed[at]));
      total = sum(total, comparison(isExported));
    }
    return total;
  }
}

const NOTHING: Comparison = { present: 0, planned: 0, added: 0, withdrawn: 0 };

function bothOf<T, R>([present, planned]: Pair<T>, map: (each: T, at: 0 | 1) => R): Pair<R> {
  return [map(present, 0), map(planned, 1)];
}

function comparison([isPresent, isPlanned]: Pair<boolean>): Comparison {
  return {
    present: +isPresent,
    planned: +isPlanned,
    added: +(isPlanned && !isPresent),
    withdrawn: +(isPresent && !isPlanned),
  };
}

function sum(a: Comparison, b: Comparison): Comparison {
  return {
    present: a.present + b.present,
    planned: a.planned + b.planned,
    added: a.added + b.added,
    withdrawn: a.withdrawn + b.withdrawn,
  };
}

function addressesOf(object: Pods, exported: ReadonlySet<Pod>): ReadonlySet<string> {
  const { entries } = convertPods(NO_CLUSTER, object, (pod) => exported.has(pod));
  const last = new Map(entries.map(({ key, value }) => [key as string, value]));
  return new Set([...last].filter(([, value]) => value !== WITHHELD).map(([key]) => key));
}

function compared([present, planned]: Pair<ReadonlySet<string>>): Comparison {
  const common = [...present].filter((key) => planned.has(key)).length;
  return { present: present.size, planned: planned.size, added: planned.size - common, withdrawn: present.size - common };
}
