/**
 * Label and field selectors, as list and watch take them. Of the fields, those that every kind has:
 * `metadata.name=x`, `metadata.namespace!=y`.
 */
import { parseLabelSelector } from '../../../src/apiserver/export/label-selector.ts';
import { asError } from '../../../src/shared/errors.ts';
import { badRequest } from '../http/status-error.ts';
import { at, type JsonObject, textOf } from '../objects/json.ts';
import { labelsOf } from '../objects/kubernetes-object.ts';

export type Matcher = (object: JsonObject) => boolean;

/** What a label selector matches; an empty one matches everything. Throws a 400 where it cannot be read. */
export function labelMatcher(selector: string): Matcher {
  try {
    const { matches } = parseLabelSelector(selector);
    return (object) => matches(labelsOf(object));
  } catch (thrown) {
    throw badRequest(asError(thrown).message);
  }
}

/** What a field selector matches. Throws a 400 for a field that cannot be selected by. */
export function fieldMatcher(selector: string): Matcher {
  const requirements = selector.split(',').filter((part) => part.trim() !== '');
  const matchers = requirements.map((requirement): Matcher => {
    const [, field, sign, value] = /^([\w.]+)\s*(==|!=|=)(.*)$/.exec(requirement.trim()) ?? [];
    if (field === undefined) throw badRequest(`invalid field selector: "${requirement}"; can't understand it`);
    if (field !== 'metadata.name' && field !== 'metadata.namespace') throw badRequest(`field label not supported: ${field}`);
    const isWanted = sign !== '!=';
    return (object) => ((textOf(at(object, ...field.split('.'))) ?? '') === value?.trim()) === isWanted;
  });
  return (object) => matchers.every((matches) => matches(object));
}
