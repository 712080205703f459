/**
 * Kubernetes label selectors: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, joined
 * by commas. All requirements must match; an empty selector matches everything.
 *
 * Syntax and semantics are those of the API server for equality-based and set-based requirements
 * (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/): `a!=b` and `a notin (b)` also match
 * objects without the label `a`, and a value may be empty. Comparisons of numbers (`a>1`) are not supported.
 */
import { FlagError } from '../../shared/flags/error.ts';
import { quoted } from '../../shared/flags/kinds.ts';

export interface LabelSelector {
  /** The selector in its shortest form, for the API server; '' selects everything. */
  readonly text: string;
  /** The labels whose values decide, each once. */
  readonly labelNames: readonly string[];
  /** Whether an object with these labels is selected. */
  matches(labels: Readonly<Record<string, string>> | null | undefined): boolean;
}

interface Requirement {
  readonly name: string;
  readonly operator: 'in' | 'notin' | 'exists' | 'absent';
  /** None where the operator takes none. */
  readonly values: readonly string[];
}

interface Token {
  /** '' at the end. */
  readonly text: string;
  /** Of its first character, counted from 1. */
  readonly position: number;
}

const TOKEN = /[ \t\r\n]*(==|!=|[=!(),<>]|[^ \t\r\n=!(),<>]+|$)/y;
const WORD = /^[^=!(),<>]/;
const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_PREFIX = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Throws FlagError, with the position of the character from which on it is wrong. */
export function parseLabelSelector(text: string): LabelSelector {
  const requirements = new SelectorReader(text).requirements();
  return {
    text: requirements.map(requirementText).join(','),
    labelNames: [...new Set(requirements.map(({ name }) => name))],
    matches: (labels) => requirements.every((requirement) => isMet(requirement, labels ?? {})),
  };
}

function isMet({ name, operator, values }: Requirement, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, name) ? labels[name] : undefined;
  if (operator === 'exists') return value !== undefined;
  if (operator === 'absent') return value === undefined;
  const isListed = value !== undefined && values.includes(value);
  return operator === 'in' ? isListed : !isListed;
}

function requirementText({ name, operator, values }: Requirement): string {
  if (operator === 'exists') return name;
  if (operator === 'absent') return `!${name}`;
  if (values.length === 1) return `${name}${operator === 'in' ? '=' : '!='}${values[0]}`;
  return `${name} ${operator} (${values.join(',')})`;
}

class SelectorReader {
  readonly #text: string;
  #index = 0;

  constructor(text: string) {
    this.#text = text;
  }

  requirements(): Requirement[] {
    if (this.#peek().text === '') return [];
    const found: Requirement[] = [];
    for (;;) {
      found.push(this.#requirement());
      const token = this.#next();
      if (token.text === '') return found;
      if (token.text !== ',') throw this.#unexpected(token, 'a comma or the end of the selector');
    }
  }

  #requirement(): Requirement {
    const isNegated = this.#skip('!');
    const name = this.#labelName();
    const end = this.#peek().text;
    if (isNegated) return { name, operator: 'absent', values: [] };
    if (end === '' || end === ',') return { name, operator: 'exists', values: [] };
    const sign = this.#next();
    if (sign.text === '=' || sign.text === '==') return { name, operator: 'in', values: [this.#value()] };
    if (sign.text === '!=') return { name, operator: 'notin', values: [this.#value()] };
    if (sign.text === 'in' || sign.text === 'notin') return { name, operator: sign.text, values: this.#values() };
    throw this.#unexpected(sign, '=, ==, !=, in or notin');
  }

  #labelName(): string {
    const token = this.#next();
    if (!WORD.test(token.text)) throw this.#unexpected(token, 'a label name');
    const slash = token.text.indexOf('/');
    const hasGoodPrefix = slash < 0 || LABEL_PREFIX.test(token.text.slice(0, slash));
    if (hasGoodPrefix && NAME.test(token.text.slice(slash + 1))) return token.text;
    throw this.#unexpected(token, 'a label name: at most 63 of a-z, A-Z, 0-9, "-", "_", ".", with an optional domain/ prefix');
  }

  /** `(b,c)`; between the commas there may be nothing, which is the empty value. */
  #values(): string[] {
    const open = this.#next();
    if (open.text !== '(') throw this.#unexpected(open, '(');
    const values = new Set([this.#value()]);
    while (this.#skip(',')) values.add(this.#value());
    const close = this.#next();
    if (close.text !== ')') throw this.#unexpected(close, 'a comma or )');
    return [...values];
  }

  /** Reads nothing where the value is empty. */
  #value(): string {
    const token = this.#peek();
    if (!WORD.test(token.text)) return '';
    if (!NAME.test(token.text)) throw this.#unexpected(token, 'a value: at most 63 of a-z, A-Z, 0-9, "-", "_", "."');
    return this.#next().text;
  }

  #skip(text: string): boolean {
    if (this.#peek().text !== text) return false;
    this.#next();
    return true;
  }

  #peek(): Token {
    const index = this.#index;
    const token = this.#next();
    this.#index = index;
    return token;
  }

  #next(): Token {
    TOKEN.lastIndex = this.#index;
    const [whole = '', text = ''] = TOKEN.exec(this.#text) ?? [];
    this.#index += whole.length;
    return { text, position: this.#index - text.length + 1 };
  }

  #unexpected({ text, position }: Token, allowed: string): FlagError {
    const found = text === '' ? 'unexpected end' : `unexpected ${quoted(text)}`;
    return new FlagError(`${quoted(this.#text)} is not a label selector: ${found} at character ${position}; allowed: ${allowed}`);
  }
}
