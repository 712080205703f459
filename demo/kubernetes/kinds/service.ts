/**
 * Services: what the API server fills in (addresses, ports, policies) and what it refuses.
 */

import type { Cause } from '../http/status-error.ts';
import {
  at,
  isList,
  isObject,
  type Json,
  type JsonObject,
  listOr,
  objectOr,
  textOf,
  withFields,
  withoutNulls,
} from '../objects/json.ts';
import { type KubernetesObject, kubernetesObject, withField } from '../objects/kubernetes-object.ts';
import { AGE_COLUMN, NAME_COLUMN } from './columns.ts';
import { builtInKind, cause, column } from './resource-kind.ts';
import { completeAddresses } from './service-addresses.ts';
import { completeNodePorts } from './service-node-ports.ts';

/** How long a client stays with a backend where its service does not say: three hours. */
const AFFINITY_TIMEOUT_SECONDS = 10_800;

/** Lists and maps of the spec that are not stored when empty. */
const DROPPED_WHEN_EMPTY = ['selector', 'ports', 'externalIPs', 'loadBalancerSourceRanges', 'clusterIPs', 'ipFamilies'];

function withoutEmpty(spec: JsonObject): JsonObject {
  const isEmpty = (value: Json) => (isList(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0);
  const kept = Object.entries(spec).filter(
    ([name, value]) => value !== '' && !(DROPPED_WHEN_EMPTY.includes(name) && isEmpty(value)),
  );
  return Object.fromEntries(kept);
}

function withPorts(spec: JsonObject): JsonObject {
  if (spec.ports === undefined) return spec;
  const ports = listOr(spec.ports)
    .filter(isObject)
    .map((port) => {
      const target = port.targetPort;
      const hasTarget = target !== undefined && target !== 0 && target !== '';
      return withFields(port, {
        name: port.name === '' ? undefined : port.name,
        protocol: port.protocol ?? 'TCP',
        targetPort: hasTarget ? target : (port.port ?? 0),
      });
    });
  return withFields(spec, { ports });
}

function withPolicies(spec: JsonObject, before: JsonObject): JsonObject {
  const type = spec.type;
  const isExternal = type === 'NodePort' || type === 'LoadBalancer' || (type === 'ClusterIP' && isList(spec.externalIPs));
  const affinity = at(spec, 'sessionAffinityConfig', 'clientIP', 'timeoutSeconds') ?? AFFINITY_TIMEOUT_SECONDS;
  const wasBalancer = before.type === 'LoadBalancer';
  const leavesBalancer = (name: string) => type !== 'LoadBalancer' && wasBalancer && spec[name] === before[name];
  return withFields(spec, {
    sessionAffinityConfig: spec.sessionAffinity === 'ClientIP' ? { clientIP: { timeoutSeconds: affinity } } : undefined,
    internalTrafficPolicy: spec.internalTrafficPolicy ?? (type === 'ExternalName' ? undefined : 'Cluster'),
    externalTrafficPolicy: isExternal ? (spec.externalTrafficPolicy ?? 'Cluster') : undefined,
    allocateLoadBalancerNodePorts: type === 'LoadBalancer' ? (spec.allocateLoadBalancerNodePorts ?? true) : undefined,
    loadBalancerClass: leavesBalancer('loadBalancerClass') ? undefined : spec.loadBalancerClass,
  });
}

function withStatus(object: KubernetesObject, spec: JsonObject): KubernetesObject {
  const status = objectOr(withoutNulls(objectOr(object.status)));
  const balancer = objectOr(status.loadBalancer);
  const ingress = listOr(balancer.ingress)
    .filter(isObject)
    .map((each) => (textOf(each.ip) !== undefined && spec.type === 'LoadBalancer' ? { ipMode: 'VIP', ...each } : each));
  const loadBalancer = withFields(balancer, { ingress: ingress.length === 0 ? undefined : ingress });
  return withField(object, 'status', withFields(status, { loadBalancer }));
}

function portsText(object: KubernetesObject): string {
  const ports = listOr(at(object, 'spec', 'ports')).filter(isObject);
  const texts = ports.map(({ port, nodePort, protocol }) => `${port}${nodePort === undefined ? '' : `:${nodePort}`}/${protocol}`);
  return texts.length === 0 ? '<none>' : texts.join(',');
}

function externalText(object: KubernetesObject): string {
  const spec = objectOr(object.spec);
  const ingress = listOr(at(object, 'status', 'loadBalancer', 'ingress')).filter(isObject);
  const balancers = ingress.map((each) => textOf(each.ip) ?? textOf(each.hostname) ?? '');
  const addresses = [...balancers, ...listOr(spec.externalIPs)];
  if (spec.type === 'ExternalName') return textOf(spec.externalName) ?? '';
  if (addresses.length > 0) return addresses.join(',');
  return spec.type === 'LoadBalancer' ? '<pending>' : '<none>';
}

function selectorText(object: KubernetesObject): string {
  const pairs = Object.entries(objectOr(at(object, 'spec', 'selector'))).map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? '<none>' : pairs.join(',');
}

/** The ports only: with those of another form nothing can be exported. */
function checkPorts(object: KubernetesObject): Cause[] {
  const { type, clusterIP, ports } = objectOr(object.spec);
  if (listOr(ports).length === 0) return type === 'ExternalName' || clusterIP === 'None' ? [] : [cause.required('spec.ports')];
  return listOr(ports).flatMap((each, index) => {
    const port = at(each, 'port');
    const isPort = typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536;
    return isPort ? [] : [cause.invalid(`spec.ports[${index}].port`, port, 'must be between 1 and 65535, inclusive')];
  });
}

export const serviceKind = builtInKind({
  kind: 'Service',
  plural: 'services',
  shortNames: ['svc'],
  categories: ['all'],
  namespaced: true,
  countsGenerations: false,
  mergeKeys: { 'spec.ports': 'port' },
  columns: [
    NAME_COLUMN,
    column('Type', (object) => textOf(at(object, 'spec', 'type')) ?? ''),
    column('Cluster-IP', (object) => textOf(at(object, 'spec', 'clusterIP')) ?? '<none>'),
    column('External-IP', externalText),
    column('Port(s)', portsText),
    AGE_COLUMN,
    column('Selector', selectorText, 1),
  ],
  complete(object, previous, surroundings) {
    const given = withoutEmpty(objectOr(withoutNulls(objectOr(object.spec))));
    const before = objectOr(previous?.spec);
    let spec = withFields(given, { type: given.type ?? 'ClusterIP', sessionAffinity: given.sessionAffinity ?? 'None' });
    spec = withPorts(spec);
    spec = completeAddresses(spec, before, surroundings);
    spec = completeNodePorts(spec, before, surroundings);
    spec = withPolicies(spec, before);
    return kubernetesObject(withFields(withStatus(object, spec), { spec }));
  },
  check: checkPorts,
});
