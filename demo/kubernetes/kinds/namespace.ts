/**
 * Namespaces. There is no namespace controller: a deleted one is gone at once, and what was in it stays.
 */
import { at, objectOr, textOf } from '../objects/json.ts';
import { nameOf, withField, withMetadata } from '../objects/kubernetes-object.ts';
import { AGE_COLUMN, NAME_COLUMN } from './columns.ts';
import { builtInKind, column } from './resource-kind.ts';

/** The label every namespace carries. */
const NAME_LABEL = 'kubernetes.io/metadata.name';

export const namespaceKind = builtInKind({
  kind: 'Namespace',
  plural: 'namespaces',
  shortNames: ['ns'],
  namespaced: false,
  countsGenerations: false,
  columns: [NAME_COLUMN, column('Status', (object) => textOf(at(object, 'status', 'phase')) ?? ''), AGE_COLUMN],
  complete(object) {
    const labels = { ...objectOr(object.metadata.labels), [NAME_LABEL]: nameOf(object) };
    const spec = { finalizers: ['kubernetes'], ...objectOr(object.spec) };
    const status = { phase: 'Active', ...objectOr(object.status) };
    return withField(withField(withMetadata(object, { labels }), 'spec', spec), 'status', status);
  },
});
