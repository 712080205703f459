/**
 * The kinds the API serves at this moment: the built-in ones and those that a stored definition adds.
 */

import type { KubernetesObject } from '../objects/kubernetes-object.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { customResourceDefinitionKind, kindOf } from './custom-resource.ts';
import { endpointSliceKind } from './endpoint-slice.ts';
import { namespaceKind } from './namespace.ts';
import { podKind } from './pod.ts';
import type { ResourceKind } from './resource-kind.ts';
import { serviceKind } from './service.ts';

const BUILT_IN: readonly ResourceKind[] = [namespaceKind, serviceKind, podKind, endpointSliceKind, customResourceDefinitionKind];

export class KindRegistry {
  readonly #store: ObjectStore;
  readonly #defined = new WeakMap<KubernetesObject, ResourceKind>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  all(): readonly ResourceKind[] {
    return [...BUILT_IN, ...Iterator.from(this.#store.values(customResourceDefinitionKind.id)).map((each) => this.#kindOf(each))];
  }

  /** The kind served under that plural name, undefined where there is none. */
  find(group: string, version: string, plural: string): ResourceKind | undefined {
    const isIt = (kind: ResourceKind) => kind.group === group && kind.plural === plural && kind.versions.includes(version);
    return this.all().find(isIt);
  }

  /** True while the kind is served. */
  serves(kind: ResourceKind): boolean {
    return !kind.isCustom || this.#store.get(customResourceDefinitionKind.id, kind.id) !== undefined;
  }

  #kindOf(definition: KubernetesObject): ResourceKind {
    const known = this.#defined.get(definition);
    if (known !== undefined) return known;
    const kind = kindOf(definition);
    this.#defined.set(definition, kind);
    return kind;
  }
}
