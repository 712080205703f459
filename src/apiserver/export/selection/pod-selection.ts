/**
 * Which Pods are exported with `--export-endpoint-selector`, as pure functions of the objects. The daemon and `export-plan` use them.
 *
 * The labels of the Pod decide: a CiliumEndpoint has a copy of them. An entry of a CiliumEndpointSlice has none, nor has the
 * CiliumEndpoint of a Pod without labels: then the labels of the identity decide, of which the source `k8s` are labels of the Pod and its
 * namespace. A Pod whose labels are not known is not exported: a selector such as `!internal` would match it.
 */
import type { CiliumIdentity } from '../../../shared/kubernetes/objects/types.ts';
import type { Pod, Pods } from '../../converters/pods.ts';
import type { LabelSelector } from '../label-selector.ts';
import type { Namespaces } from '../namespaces.ts';

/** Whether the labels of an identity are selected; undefined where they are not known. */
export type IdentitySelection = (identity: string) => boolean | undefined;

const POD_LABEL_SOURCE = 'k8s:';

/** Whether `selector` selects the Pods of an identity by its labels. */
export function selectsIdentity(selector: LabelSelector, identity: CiliumIdentity): boolean {
  const labels = identity['security-labels'] ?? {};
  const named = selector.labelNames.flatMap((name) => {
    const source = `${POD_LABEL_SOURCE}${name}`;
    return Object.hasOwn(labels, source) ? [[name, labels[source] ?? ''] as const] : [];
  });
  return selector.matches(Object.fromEntries(named));
}

/** Whether the labels of `pod` are selected; false where they are not known. */
function isSelected(object: Pods, pod: Pod, selection: IdentitySelection): boolean {
  return object.isSelected ?? selection(identityOf(pod)) ?? false;
}

/** The Pods of `object` that are exported. Without a selection all of a namespace that is exported. */
export function exportedPods(namespaces: Namespaces, object: Pods, selection: IdentitySelection | undefined): readonly Pod[] {
  const { namespace, pods } = object;
  if (namespace === '' || namespaces.isExported(namespace) !== true) return [];
  return selection === undefined ? pods : pods.filter((pod) => isSelected(object, pod, selection));
}

/** The identities that exported addresses of `pods` refer to, each once. The number 0 is none. */
export function identitiesOf(pods: readonly Pod[]): readonly string[] {
  const withAddress = pods.filter(({ addresses, identity }) => addresses.length > 0 && identity !== 0);
  return [...new Set(withAddress.map(identityOf))];
}

/** The name of the identity's object. */
function identityOf({ identity }: Pod): string {
  return String(identity);
}
