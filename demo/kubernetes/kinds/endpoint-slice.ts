/**
 * EndpointSlices: stored almost as given; ports get a protocol and a name.
 */
import { at, isObject, type Json, listOr, objectOr, textOf, withFields, withoutNulls } from '../objects/json.ts';
import { type KubernetesObject, kubernetesObject } from '../objects/kubernetes-object.ts';
import { AGE_COLUMN, NAME_COLUMN } from './columns.ts';
import { builtInKind, column } from './resource-kind.ts';

/** An empty list is stored as none: null, as the field has no other form. */
function endpointsOf(endpoints: Json | undefined): Json {
  const list = listOr(endpoints).filter(isObject);
  if (list.length === 0) return null;
  return list.map((endpoint) => {
    const kept = objectOr(withoutNulls(endpoint));
    return { ...kept, addresses: listOr(kept.addresses), conditions: objectOr(kept.conditions) };
  });
}

function portsOf(ports: Json | undefined): Json {
  const list = listOr(ports).filter(isObject);
  if (list.length === 0) return null;
  return list.map((port) => ({ name: '', protocol: 'TCP', ...objectOr(withoutNulls(port)) }));
}

/** The first three and how many more, as `kubectl get` prints lists. */
function shortened(values: readonly string[]): string {
  if (values.length === 0) return '<unset>';
  return values.length <= 3 ? values.join(',') : `${values.slice(0, 3).join(',')} + ${values.length - 3} more...`;
}

function addressesText(object: KubernetesObject): string {
  const endpoints = listOr(object.endpoints).filter(isObject);
  return shortened(endpoints.flatMap((endpoint) => listOr(endpoint.addresses).map(String)));
}

function portsText(object: KubernetesObject): string {
  return shortened(
    listOr(object.ports)
      .filter(isObject)
      .map((port) => String(port.port ?? '*')),
  );
}

export const endpointSliceKind = builtInKind({
  group: 'discovery.k8s.io',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  namespaced: true,
  hasStatus: false,
  columns: [
    NAME_COLUMN,
    column('AddressType', (object) => textOf(at(object, 'addressType')) ?? ''),
    column('Ports', portsText),
    column('Endpoints', addressesText),
    AGE_COLUMN,
  ],
  complete: (object) =>
    kubernetesObject(
      withFields(object, {
        addressType: object.addressType ?? '',
        endpoints: endpointsOf(object.endpoints),
        ports: portsOf(object.ports),
      }),
    ),
});
