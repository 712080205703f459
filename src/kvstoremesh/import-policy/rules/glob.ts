/**
 * Names with `*` for any run of characters. Names are a remote's: a match takes time in proportion to their length, whatever the
 * pattern is.
 */

/** `eu-*`, split where the stars are. */
export class Glob {
  readonly text: string;
  readonly #parts: readonly string[];

  /** `text`: without two stars in a row. */
  constructor(text: string) {
    this.text = text;
    this.#parts = text.split('*');
  }

  matches(name: string): boolean {
    const [first = '', ...rest] = this.#parts;
    const last = rest.pop();
    if (last === undefined) return name === first;
    if (!name.startsWith(first)) return false;
    let at = first.length;
    // The first place of each part is as good as any later one.
    for (const part of rest) {
      const found = name.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return name.length - last.length >= at && name.endsWith(last);
  }
}

/** Which names pass: those that `allow` has, all without one, except those that `deny` has. */
export class NameRules {
  readonly #allow: readonly Glob[] | undefined;
  readonly #deny: readonly Glob[];

  constructor(allow: readonly Glob[] | undefined, deny: readonly Glob[]) {
    this.#allow = allow;
    this.#deny = deny;
  }

  allows(name: string): boolean {
    const isAllowed = this.#allow === undefined || this.#allow.some((glob) => glob.matches(name));
    return isAllowed && !this.#deny.some((glob) => glob.matches(name));
  }
}
