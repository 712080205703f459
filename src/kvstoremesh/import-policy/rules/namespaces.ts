/** Decides about names of namespaces as remotes write them, each once: there are many keys for one namespace. */

import { MAX_REMEMBERED_NAMESPACES } from '../limits.ts';
import type { NameRules } from './glob.ts';

/** Of a namespace in Kubernetes. */
export const MAX_NAMESPACE_LENGTH = 63;
const PRINTABLE = /^[\x20-\x7e]*$/;

export class Namespaces {
  readonly #rules: NameRules;
  readonly #known = new Map<string, boolean>();

  constructor(rules: NameRules) {
    this.#rules = rules;
  }

  /** '' where a key has none. False for what no namespace can be named. */
  allows(name: string): boolean {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    if (name.length > MAX_NAMESPACE_LENGTH || !PRINTABLE.test(name)) return false;
    const allowed = this.#rules.allows(name);
    if (this.#known.size >= MAX_REMEMBERED_NAMESPACES) this.#known.clear();
    this.#known.set(name, allowed);
    return allowed;
  }
}
