/**
 * Label and field selectors, as list and watch take them.
 *
 * Labels: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, `a>1`, `a<1`, joined by commas.
 * Fields: `metadata.name=x`, `metadata.namespace!=y`, and the few others a kind offers.
 */
import { at, type JsonObject, textOf } from './json.ts';
import { labelsOf } from './kubernetes-object.ts';
import type { ResourceKind } from './resource-kind.ts';
import { badRequest } from './status-error.ts';

export type Matcher = (object: JsonObject) => boolean;

const KEY = String.raw`(?:[a-zA-Z0-9.-]+\/)?[a-zA-Z0-9](?:[-a-zA-Z0-9_.]*[a-zA-Z0-9])?`;
const VALUE = '[a-zA-Z0-9._-]*';
const FORMS: readonly (readonly [RegExp, (key: string, value: string) => Matcher])[] = [
  [new RegExp(`^!\\s*(${KEY})$`), (key) => (object) => labelOf(object, key) === undefined],
  [new RegExp(`^(${KEY})$`), (key) => (object) => labelOf(object, key) !== undefined],
  [new RegExp(`^(${KEY})\\s*==?\\s*(${VALUE})$`), (key, value) => (object) => labelOf(object, key) === value],
  [new RegExp(`^(${KEY})\\s*!=\\s*(${VALUE})$`), (key, value) => (object) => labelOf(object, key) !== value],
  [new RegExp(`^(${KEY})\\s+in\\s*\\(([^()]*)\\)$`), (key, value) => isIn(key, value)],
  [new RegExp(`^(${KEY})\\s+notin\\s*\\(([^()]*)\\)$`), (key, value) => negated(isIn(key, value))],
  [new RegExp(`^(${KEY})\\s*>\\s*(-?\\d+)$`), (key, value) => (object) => Number(labelOf(object, key)) > Number(value)],
  [new RegExp(`^(${KEY})\\s*<\\s*(-?\\d+)$`), (key, value) => (object) => Number(labelOf(object, key)) < Number(value)],
];

/** What a label selector matches; an empty one matches everything. Throws a 400 where it cannot be read. */
export function labelMatcher(selector: string): Matcher {
  const matchers = splitOutsideBraces(selector).map((requirement) => {
    for (const [form, matcher] of FORMS) {
      const [, key, value = ''] = form.exec(requirement) ?? [];
      if (key !== undefined) return matcher(key, value);
    }
    throw badRequest(`unable to parse requirement: "${requirement}" of label selector "${selector}"`);
  });
  return (object) => matchers.every((matches) => matches(object));
}

/** What a field selector matches among objects of `kind`. Throws a 400 for a field the kind does not offer. */
export function fieldMatcher(selector: string, kind: ResourceKind): Matcher {
  const requirements = selector.split(',').filter((part) => part.trim() !== '');
  const matchers = requirements.map((requirement): Matcher => {
    const [, field, sign, value] = /^([\w.]+)\s*(==|!=|=)(.*)$/.exec(requirement.trim()) ?? [];
    if (field === undefined) throw badRequest(`invalid field selector: "${requirement}"; can't understand it`);
    if (!['metadata.name', 'metadata.namespace', ...kind.selectableFields].includes(field))
      throw badRequest(`field label not supported: ${field}`);
    const equals: Matcher = (object) => (textOf(at(object, ...field.split('.'))) ?? '') === value?.trim();
    return sign === '!=' ? negated(equals) : equals;
  });
  return (object) => matchers.every((matches) => matches(object));
}

function labelOf(object: JsonObject, key: string): string | undefined {
  return textOf(at(labelsOf(object), key));
}

function isIn(key: string, list: string): Matcher {
  const values = new Set(list.split(',').map((value) => value.trim()));
  return (object) => {
    const value = labelOf(object, key);
    return value !== undefined && values.has(value);
  };
}

function negated(matcher: Matcher): Matcher {
  return (object) => !matcher(object);
}

function splitOutsideBraces(selector: string): string[] {
  return selector
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
