/**
 * EndpointSlices: stored almost as given; ports get a protocol and a name.
 */
import { isIP } from 'node:net';
import { at, isObject, type Json, listOr, objectOr, textOf, withFields, withoutNulls } from '../json.ts';
import { type KubernetesObject, kubernetesObject } from '../kubernetes-object.ts';
import { cause, column, type KindRules, METADATA_LISTS, type ResourceKind } from '../resource-kind.ts';
import type { Cause } from '../status-error.ts';
import { AGE_COLUMN, NAME_COLUMN } from './columns.ts';

const ADDRESS_TYPES = ['FQDN', 'IPv4', 'IPv6'];
const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const MAX_ENDPOINTS = 1000;
const MAX_ADDRESSES = 100;
const HOST_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\.?$/;

const rules: KindRules = {
  complete: (object) =>
    kubernetesObject(
      withFields(object, {
        addressType: object.addressType === null ? '' : (object.addressType ?? ''),
        endpoints: endpointsOf(object.endpoints),
        ports: portsOf(object.ports),
      }),
    ),
  check: (object, previous) => [...checkType(object, previous), ...checkEndpoints(object), ...checkPorts(object)],
};

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

function checkType(object: KubernetesObject, previous: KubernetesObject | undefined): Cause[] {
  const type = object.addressType;
  if (type === '') return [cause.required('addressType')];
  if (!ADDRESS_TYPES.includes(textOf(type) ?? '')) return [cause.unsupported('addressType', type, ADDRESS_TYPES)];
  if (previous !== undefined && previous.addressType !== type) return [cause.invalid('addressType', type, 'field is immutable')];
  return [];
}

function checkEndpoints(object: KubernetesObject): Cause[] {
  const endpoints = listOr(object.endpoints).filter(isObject);
  if (endpoints.length > MAX_ENDPOINTS) {
    return [
      {
        reason: 'FieldValueTooMany',
        message: `Too many: ${endpoints.length}: must have at most ${MAX_ENDPOINTS} items`,
        field: 'endpoints',
      },
    ];
  }
  return endpoints.flatMap((endpoint, index) => {
    const field = `endpoints[${index}].addresses`;
    const addresses = listOr(endpoint.addresses);
    if (addresses.length === 0) return [cause.required(field, 'must contain at least 1 address')];
    if (addresses.length > MAX_ADDRESSES)
      return [
        {
          reason: 'FieldValueTooMany',
          message: `Too many: ${addresses.length}: must have at most ${MAX_ADDRESSES} items`,
          field,
        },
      ];
    return addresses.flatMap((address) =>
      isAddress(textOf(address) ?? '', textOf(object.addressType) ?? '')
        ? []
        : [cause.invalid(field, address, `must be a valid ${String(object.addressType)} address`)],
    );
  });
}

function isAddress(address: string, type: string): boolean {
  if (type === 'FQDN') return HOST_NAME.test(address) && address.includes('.') && isIP(address) === 0;
  return isIP(address) === (type === 'IPv6' ? 6 : 4) && !address.includes('%');
}

function checkPorts(object: KubernetesObject): Cause[] {
  const names = new Set<Json>();
  return listOr(object.ports)
    .filter(isObject)
    .flatMap((port, index) => {
      const causes: Cause[] = [];
      const name = port.name ?? '';
      if (names.has(name)) causes.push(cause.duplicate(`ports[${index}].name`, name));
      names.add(name);
      if (!PROTOCOLS.includes(textOf(port.protocol) ?? ''))
        causes.push(cause.unsupported(`ports[${index}].protocol`, port.protocol, PROTOCOLS));
      return causes;
    });
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

export const endpointSliceKind: ResourceKind = {
  id: 'endpointslices.discovery.k8s.io',
  group: 'discovery.k8s.io',
  versions: ['v1'],
  storageVersion: 'v1',
  kind: 'EndpointSlice',
  listKind: 'EndpointSliceList',
  plural: 'endpointslices',
  singular: 'endpointslice',
  shortNames: [],
  categories: [],
  namespaced: true,
  hasStatus: false,
  isCustom: false,
  countsGenerations: true,
  nameRule: 'subdomain',
  structure: { lists: METADATA_LISTS, atomicMaps: [] },
  rules,
  columns: [
    NAME_COLUMN,
    column('AddressType', (object) => textOf(at(object, 'addressType')) ?? ''),
    column('Ports', portsText),
    column('Endpoints', addressesText),
    AGE_COLUMN,
  ],
  selectableFields: [],
};
