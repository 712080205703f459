/**
 * Pods, as records only: nothing schedules or runs them, and a deleted one is gone at once.
 */
import { at, listOr, objectOr, textOf } from '../objects/json.ts';
import { type KubernetesObject, withField } from '../objects/kubernetes-object.ts';
import { AGE_COLUMN, NAME_COLUMN } from './columns.ts';
import { builtInKind, cause, column } from './resource-kind.ts';

function readyText(object: KubernetesObject): string {
  const containers = listOr(at(object, 'spec', 'containers')).length;
  const ready = listOr(at(object, 'status', 'containerStatuses')).filter((each) => at(each, 'ready') === true).length;
  return `${ready}/${containers}`;
}

export const podKind = builtInKind({
  kind: 'Pod',
  plural: 'pods',
  shortNames: ['po'],
  categories: ['all'],
  namespaced: true,
  mergeKeys: { 'spec.containers': 'name' },
  columns: [
    NAME_COLUMN,
    column('Ready', readyText),
    column('Status', (object) => textOf(at(object, 'status', 'phase')) ?? ''),
    AGE_COLUMN,
    column('IP', (object) => textOf(at(object, 'status', 'podIP')) ?? '<none>', 1),
    column('Node', (object) => textOf(at(object, 'spec', 'nodeName')) ?? '<none>', 1),
  ],
  complete(object) {
    const spec = { restartPolicy: 'Always', dnsPolicy: 'ClusterFirst', ...objectOr(object.spec) };
    return withField(withField(object, 'spec', spec), 'status', { phase: 'Pending', ...objectOr(object.status) });
  },
  check: (object) => (listOr(at(object, 'spec', 'containers')).length === 0 ? [cause.required('spec.containers')] : []),
});
