/**
 * Exports the endpoints that a selector selects, and the identities that they use.
 *
 * Used instead of `exportOwned` of both kinds where `--export-endpoint-selector` is set. The exported keys follow from the objects
 * alone; only the order of writes depends on what happened before.
 */

import type { CiliumIdentity } from '../../../shared/kubernetes/objects/types.ts';
import type { Logger } from '../../../shared/process/log.ts';
import type { Section } from '../../../shared/publisher/types.ts';
import { convertIdentity } from '../../converters/identity.ts';
import { convertPods, type Pod, type Pods } from '../../converters/pods.ts';
import { GroupIndex } from '../../informers/group-index.ts';
import { FirstListing, whenAllListed } from '../../informers/listing.ts';
import type { Change, ObjectStore } from '../../informers/object-store.ts';
import { createdOr, type ExportContext, known, whereExported } from '../export-rules.ts';
import { type Decision, Exporter, followNamespaces, NOTHING, UNDECIDED } from '../exporter.ts';
import type { LabelSelector } from '../label-selector.ts';
import type { EndpointCounts } from './endpoint-counts.ts';
import { IdentityUses } from './identity-uses.ts';
import { exportedPods, type IdentitySelection, identitiesOf, selectsIdentity } from './pod-selection.ts';

export interface SelectedExports {
  readonly selector: LabelSelector;
  readonly identities: ObjectStore<CiliumIdentity>;
  /** Objects whose labels were judged by the same selector. */
  readonly endpoints: ObjectStore<Pods>;
  readonly sections: Readonly<Record<'identities/v1' | 'ip/v1', Section>>;
  readonly counts: EndpointCounts;
  readonly log: Logger;
}

export function exportSelected(context: ExportContext, parts: SelectedExports): void {
  new SelectedExporters(context, parts).follow();
}

/** Those of both sections, which depend on each other. */
class SelectedExporters {
  readonly #context: ExportContext;
  readonly #parts: SelectedExports;
  readonly #uses: IdentityUses;
  readonly #endpoints: Exporter;
  readonly #identities: Exporter;
  /** Every endpoint of the first listing has claimed its addresses. */
  readonly #firstEndpoints = new FirstListing();
  /** Identities that no endpoint uses so far; undefined after the first listing of endpoints. */
  #unused: Set<string> | undefined = new Set();
  readonly #selection: IdentitySelection;

  constructor(context: ExportContext, parts: SelectedExports) {
    const { clock, signal, namespaces } = context;
    const { selector, identities, endpoints, sections } = parts;
    const { 'identities/v1': identitySection, 'ip/v1': addressSection } = sections;
    this.#context = context;
    this.#parts = parts;
    this.#selection = (name) => {
      const identity = identities.get(name);
      return identity === undefined ? undefined : selectsIdentity(selector, identity);
    };
    this.#uses = new IdentityUses({
      identityChanged: (identity) => this.#identities.changed(identity),
      endpointsChanged: (object) => this.#endpoints.changed(object),
      endpointsEvaluated: () => new Promise((resolve) => this.#endpoints.whenIdle(resolve)),
      identitiesFlushed: () => identitySection.flushed(signal),
      addressesFlushed: () => addressSection.flushed(signal),
      clock,
      signal,
    });
    const prerequisites = [namespaces.listing, identities.listing, known(context, addressSection)];
    this.#endpoints = new Exporter({
      ...context,
      scope: 'ip/v1',
      sink: addressSection,
      prerequisites,
      inputs: [this.#firstEndpoints],
      earlier: addressSection,
      createdMs: (id) => createdOr(endpoints.get(id), ({ createdMs }) => createdMs),
      evaluate: (id) => this.#evaluateEndpoints(id),
      onExported: (id) => this.#account(id),
    });
    this.#identities = new Exporter({
      ...context,
      scope: 'identities/v1',
      sink: identitySection,
      prerequisites: [identities.listing, known(context, identitySection)],
      inputs: [this.#firstEndpoints],
      evaluate: (id) => this.#evaluateIdentity(id),
      onExported: (id, conversion) =>
        this.#uses.evaluated(id, { isKnown: identities.get(id) !== undefined, hasKey: conversion.entries.length > 0 }),
    });
    whenAllListed([...prerequisites, endpoints.listing], () =>
      this.#endpoints.whenIdle(() => this.#uses.whenServed(() => this.#endpointsKnown())),
    );
    addressSection.whenSynced(signal).then(
      () => this.#uses.endInheritance(),
      () => undefined, // The daemon is shutting down.
    );
  }

  follow(): void {
    const { selector, identities, endpoints } = this.#parts;
    const dependents = new IdentityDependents();
    endpoints.onChange((change) => {
      dependents.follow(change);
      this.#endpoints.changed(change.id);
    });
    followNamespaces(this.#endpoints, this.#context.namespaces, (namespace) => endpoints.inNamespace(namespace));
    identities.onChange(({ id, before, now }) => {
      const wasSelected = before && selectsIdentity(selector, before);
      const isSelected = now && selectsIdentity(selector, now);
      if (wasSelected !== isSelected) {
        const objects = [...dependents.of(id)];
        if (now === undefined && objects.length > 0) this.#uses.hold(id);
        for (const object of objects) this.#endpoints.changed(object);
      }
      this.#identities.changed(id);
    });
  }

  #endpointsKnown(): void {
    const unused = this.#unused ?? [];
    this.#unused = undefined;
    for (const identity of unused) this.#identities.changed(identity);
    this.#uses.bePatient();
    this.#firstEndpoints.complete();
    const { selector, counts, log } = this.#parts;
    log.info({ selector: selector.text, ...counts.total }, 'endpoints selected');
  }

  #evaluateEndpoints(id: string): Decision {
    const { cluster, namespaces } = this.#context;
    const object = this.#parts.endpoints.get(id);
    if (object === undefined) return NOTHING;
    const exported = exportedPods(namespaces, object, this.#selection);
    if (!this.#uses.request(id, identitiesOf(exported))) return UNDECIDED;
    const isExported = new Set(exported);
    return whereExported(namespaces, object.namespace, () => convertPods(cluster, object, (pod) => isExported.has(pod)));
  }

  /** The namespace of an identity plays no part: that of the endpoints that use it does. */
  #evaluateIdentity(id: string): Decision {
    const { identities, sections } = this.#parts;
    const identity = identities.get(id);
    if (identity === undefined) return this.#uses.isHeld(id) ? UNDECIDED : NOTHING;
    const conversion = convertIdentity(this.#context.cluster, identity);
    if (this.#uses.isExported(id)) return conversion;
    if (this.#unused !== undefined) {
      this.#unused.add(id);
      return UNDECIDED;
    }
    const isInherited = conversion.entries.some(({ key, value }) => isInEtcd(sections['identities/v1'].compare(key, value)));
    return isInherited && this.#uses.inherit(id) ? conversion : NOTHING;
  }

  /** What was evaluated is exported now. */
  #account(id: string): void {
    const { namespaces } = this.#context;
    const object = this.#parts.endpoints.get(id);
    const exported = object === undefined ? [] : exportedPods(namespaces, object, this.#selection);
    const all = object === undefined ? [] : exportedPods(namespaces, object, undefined);
    const count = withAddress(exported);
    this.#parts.counts.set(id, { exported: count, heldBack: withAddress(all) - count });
    this.#uses.used(id, identitiesOf(exported));
  }
}

function withAddress(pods: readonly Pod[]): number {
  return pods.filter(({ addresses }) => addresses.length > 0).length;
}

function isInEtcd(compared: ReturnType<Section['compare']>): boolean {
  return compared === 'same' || compared === 'other';
}

/** The objects with endpoints that are selected by the labels of an identity. */
class IdentityDependents {
  readonly #byIdentity = new GroupIndex();

  of(identity: string): Iterable<string> {
    return this.#byIdentity.members(identity);
  }

  follow({ id, before, now }: Change<Pods>): void {
    const left = new Set(deciding(before));
    for (const identity of deciding(now)) {
      if (!left.delete(identity)) this.#byIdentity.move(id, undefined, identity);
    }
    for (const identity of left) this.#byIdentity.move(id, identity, undefined);
  }
}

function deciding(object: Pods | undefined): readonly string[] {
  return object === undefined || object.isSelected !== undefined ? [] : identitiesOf(object.pods);
}
