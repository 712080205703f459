/**
 * Namespaces. There is no namespace controller: a deleted one is gone at once, and what was in it stays.
 */
import { at, objectOr, textOf } from '../json.ts';
import { nameOf, withField, withMetadata } from '../kubernetes-object.ts';
import { column, type KindRules, METADATA_LISTS, type ResourceKind } from '../resource-kind.ts';
import { AGE_COLUMN, NAME_COLUMN } from './columns.ts';

/** The label every namespace carries. */
const NAME_LABEL = 'kubernetes.io/metadata.name';

const rules: KindRules = {
  complete(object) {
    const labels = { ...objectOr(object.metadata.labels), [NAME_LABEL]: nameOf(object) };
    const spec = { finalizers: ['kubernetes'], ...objectOr(object.spec) };
    const status = { phase: 'Active', ...objectOr(object.status) };
    return withField(withField(withMetadata(object, { labels }), 'spec', spec), 'status', status);
  },
  check: () => [],
};

export const namespaceKind: ResourceKind = {
  id: 'namespaces',
  group: '',
  versions: ['v1'],
  storageVersion: 'v1',
  kind: 'Namespace',
  listKind: 'NamespaceList',
  plural: 'namespaces',
  singular: 'namespace',
  shortNames: ['ns'],
  categories: [],
  namespaced: false,
  hasStatus: true,
  isCustom: false,
  countsGenerations: false,
  nameRule: 'label',
  structure: {
    lists: { ...METADATA_LISTS, 'status.conditions': { type: 'map', keys: { type: undefined }, mergeKey: 'type' } },
    atomicMaps: [],
  },
  rules,
  columns: [NAME_COLUMN, column('Status', (object) => textOf(at(object, 'status', 'phase')) ?? ''), AGE_COLUMN],
  selectableFields: ['status.phase'],
};
