/**
 * Cluster IPs and IP families of a service in a dual-stack cluster.
 *
 * What the author gives decides first (addresses, then families, then policy), then what the service
 * had before, then the default: one address of the first family.
 */
import { isIP } from 'node:net';
import { type JsonObject, listOr, textOf, withFields } from '../objects/json.ts';
import type { Surroundings } from './resource-kind.ts';

type Family = 'IPv4' | 'IPv6';

/** Fields that a service without cluster IPs does not have. */
const ADDRESS_FIELDS = ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'];

/** `spec` with its addresses; `before` is the stored spec, empty for a new service. */
export function completeAddresses(spec: JsonObject, before: JsonObject, surroundings: Surroundings): JsonObject {
  if (spec.type === 'ExternalName') return withoutAddresses(spec);
  const had = before.type === 'ExternalName' ? {} : before;
  const clusterIPs = givenAddresses(spec, had);
  const isHeadless = clusterIPs[0] === 'None';
  const families = familiesOf(spec, had, clusterIPs, isHeadless);
  const policy = policyOf(spec, had, families, isHeadless);
  if (policy === 'SingleStack') families.splice(1);
  else if (families.length === 1) families.push(families[0] === 'IPv4' ? 'IPv6' : 'IPv4');
  const addresses = isHeadless
    ? ['None']
    : families.map((family, index) => clusterIPs[index] ?? freeAddress(family, surroundings));
  return withFields(spec, {
    clusterIP: addresses[0],
    clusterIPs: addresses,
    ipFamilies: families,
    ipFamilyPolicy: policy,
  });
}

function withoutAddresses(spec: JsonObject): JsonObject {
  return withFields(spec, Object.fromEntries(ADDRESS_FIELDS.map((name) => [name, undefined])));
}

function givenAddresses(spec: JsonObject, had: JsonObject): string[] {
  const first = textOf(spec.clusterIP) ?? textOf(listOr(spec.clusterIPs)[0]) ?? textOf(had.clusterIP);
  const all = listOr(spec.clusterIPs ?? (had.clusterIP === first ? had.clusterIPs : undefined)).map(String);
  if (first === undefined) return all;
  return all[0] === first ? all : [first, ...all.slice(1)];
}

function familiesOf(spec: JsonObject, had: JsonObject, clusterIPs: readonly string[], isHeadless: boolean): Family[] {
  const given = listOr(spec.ipFamilies).map(String) as Family[];
  if (given.length > 0) return [...given];
  if (!isHeadless && clusterIPs.length > 0) return clusterIPs.map((address) => (isIP(address) === 6 ? 'IPv6' : 'IPv4'));
  const earlier = listOr(had.ipFamilies).map(String) as Family[];
  return earlier.length > 0 ? [...earlier] : ['IPv4'];
}

function policyOf(spec: JsonObject, had: JsonObject, families: readonly Family[], isHeadless: boolean): string {
  const given = textOf(spec.ipFamilyPolicy);
  if (given !== undefined) return given;
  // A headless service that selects nothing is published externally, in any families.
  const isUnselected = isHeadless && spec.selector === undefined && had.type === undefined;
  if (families.length === 2 || isUnselected) return 'RequireDualStack';
  return textOf(had.ipFamilyPolicy) ?? 'SingleStack';
}

/** The first address of the service range that no service has: 10.96.0.0/12 and fd00:96::/108. */
function freeAddress(family: Family, surroundings: Surroundings): string {
  const used = surroundings.usedClusterIPs();
  for (let number = 10; ; number += 1) {
    const address =
      family === 'IPv4'
        ? `10.${96 + ((number >> 16) & 0xf)}.${(number >> 8) & 0xff}.${number & 0xff}`
        : `fd00:96::${number.toString(16)}`;
    if (!used.has(address)) return address;
  }
}
