/**
 * Pods, as records only: nothing schedules or runs them, and a deleted one is gone at once.
 */
import { at, isObject, listOr, objectOr, textOf } from '../json.ts';
import { type KubernetesObject, withField } from '../kubernetes-object.ts';
import { cause, column, type KindRules, type ListStructure, METADATA_LISTS, type ResourceKind } from '../resource-kind.ts';
import { AGE_COLUMN, NAME_COLUMN } from './columns.ts';

const rules: KindRules = {
  complete(object) {
    const spec = { restartPolicy: 'Always', dnsPolicy: 'ClusterFirst', ...objectOr(object.spec) };
    return withField(withField(object, 'spec', spec), 'status', { phase: 'Pending', ...objectOr(object.status) });
  },
  check(object) {
    const containers = listOr(at(object, 'spec', 'containers')).filter(isObject);
    if (containers.length === 0) return [cause.required('spec.containers')];
    return containers.flatMap((container, index) =>
      textOf(container.name) === undefined ? [cause.required(`spec.containers[${index}].name`)] : [],
    );
  },
};

const byName: ListStructure = { type: 'map', keys: { name: undefined }, mergeKey: 'name' };
const containerLists = (path: string): Record<string, ListStructure> => ({
  [path]: byName,
  [`${path}.env`]: byName,
  [`${path}.ports`]: { type: 'map', keys: { containerPort: undefined, protocol: 'TCP' }, mergeKey: 'containerPort' },
  [`${path}.volumeMounts`]: { type: 'map', keys: { mountPath: undefined }, mergeKey: 'mountPath' },
});

function readyText(object: KubernetesObject): string {
  const containers = listOr(at(object, 'spec', 'containers')).length;
  const ready = listOr(at(object, 'status', 'containerStatuses')).filter((each) => at(each, 'ready') === true).length;
  return `${ready}/${containers}`;
}

export const podKind: ResourceKind = {
  id: 'pods',
  group: '',
  versions: ['v1'],
  storageVersion: 'v1',
  kind: 'Pod',
  listKind: 'PodList',
  plural: 'pods',
  singular: 'pod',
  shortNames: ['po'],
  categories: ['all'],
  namespaced: true,
  hasStatus: true,
  isCustom: false,
  countsGenerations: true,
  nameRule: 'subdomain',
  structure: {
    lists: {
      ...METADATA_LISTS,
      ...containerLists('spec.containers'),
      ...containerLists('spec.initContainers'),
      'spec.volumes': byName,
      'spec.imagePullSecrets': byName,
      'status.conditions': { type: 'map', keys: { type: undefined }, mergeKey: 'type' },
      'status.podIPs': { type: 'map', keys: { ip: undefined }, mergeKey: 'ip' },
    },
    atomicMaps: ['spec.nodeSelector'],
  },
  rules,
  columns: [
    NAME_COLUMN,
    column('Ready', readyText),
    column('Status', (object) => textOf(at(object, 'status', 'phase')) ?? ''),
    AGE_COLUMN,
    column('IP', (object) => textOf(at(object, 'status', 'podIP')) ?? '<none>', { priority: 1 }),
    column('Node', (object) => textOf(at(object, 'spec', 'nodeName')) ?? '<none>', { priority: 1 }),
  ],
  selectableFields: ['spec.nodeName', 'status.phase', 'status.podIP'],
};
