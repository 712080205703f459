/**
 * What the API server refuses of a service.
 */
import { isIP } from 'node:net';
import { isObject, type JsonObject, listOr, objectOr, textOf } from '../json.ts';
import type { KubernetesObject } from '../kubernetes-object.ts';
import { cause } from '../resource-kind.ts';
import type { Cause } from '../status-error.ts';
import { hasNodePorts } from './service-node-ports.ts';

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const PORT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

export function checkService(object: KubernetesObject, previous: KubernetesObject | undefined): readonly Cause[] {
  const spec = objectOr(object.spec);
  const causes: Cause[] = [];
  if (!TYPES.includes(textOf(spec.type) ?? '')) causes.push(cause.unsupported('spec.type', spec.type, TYPES));
  if (!['None', 'ClientIP'].includes(textOf(spec.sessionAffinity) ?? ''))
    causes.push(cause.unsupported('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None']));
  if (spec.type === 'ExternalName' && textOf(spec.externalName) === undefined) causes.push(cause.required('spec.externalName'));
  return [...causes, ...checkPorts(spec), ...checkAddresses(spec, objectOr(previous?.spec))];
}

function checkPorts(spec: JsonObject): Cause[] {
  const ports = listOr(spec.ports).filter(isObject);
  const mayBeWithout = spec.type === 'ExternalName' || spec.clusterIP === 'None';
  if (ports.length === 0) return mayBeWithout ? [] : [cause.required('spec.ports')];
  const causes: Cause[] = [];
  const names = new Set<string>();
  const numbers = new Set<string>();
  ports.forEach((port, index) => {
    const field = `spec.ports[${index}]`;
    const name = textOf(port.name) ?? '';
    if (name === '' && ports.length > 1) causes.push(cause.required(`${field}.name`));
    if (name !== '' && (!PORT_NAME.test(name) || name.length > 63))
      causes.push(cause.invalid(`${field}.name`, name, 'must be a DNS label'));
    if (name !== '' && names.has(name)) causes.push(cause.duplicate(`${field}.name`, name));
    if (!isPort(port.port)) causes.push(cause.invalid(`${field}.port`, port.port, 'must be between 1 and 65535, inclusive'));
    if (!PROTOCOLS.includes(textOf(port.protocol) ?? ''))
      causes.push(cause.unsupported(`${field}.protocol`, port.protocol, PROTOCOLS));
    if (port.nodePort !== undefined && !hasNodePorts(spec) && spec.type !== 'LoadBalancer')
      causes.push({
        reason: 'FieldValueForbidden',
        message: `Forbidden: may not be used when \`type\` is '${spec.type}'`,
        field: `${field}.nodePort`,
      });
    const number = `${port.protocol}/${port.port}`;
    if (numbers.has(number)) causes.push(cause.duplicate(field, port));
    names.add(name);
    numbers.add(number);
  });
  return causes;
}

function checkAddresses(spec: JsonObject, before: JsonObject): Cause[] {
  if (spec.type === 'ExternalName') return [];
  const causes: Cause[] = [];
  const addresses = listOr(spec.clusterIPs);
  const families = listOr(spec.ipFamilies);
  addresses.forEach((address, index) => {
    const family = isIP(textOf(address) ?? '');
    if (address === 'None' && addresses.length === 1) return;
    if (family === 0) causes.push(cause.invalid(`spec.clusterIPs[${index}]`, address, 'must be a valid IP address'));
    else if (families[index] !== `IPv${family}`)
      causes.push(
        cause.invalid(
          `spec.clusterIPs[${index}]`,
          address,
          `expected an ${String(families[index])} value as indicated by \`ipFamilies[${index}]\``,
        ),
      );
  });
  const earlier = textOf(before.clusterIP);
  if (earlier !== undefined && before.type !== 'ExternalName' && earlier !== spec.clusterIP)
    causes.push(cause.invalid('spec.clusterIPs[0]', spec.clusterIP, 'may not change once set'));
  return causes;
}

function isPort(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536;
}
