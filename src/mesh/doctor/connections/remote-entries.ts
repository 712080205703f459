/** Entries compared with the clusters that they name. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { nameVerdict } from '../../../shared/tls/server-name.ts';
import { certificatesIn } from '../../access.ts';
import { failed, passed, undecided, warned } from '../catalogue.ts';
import type { Member } from '../facts.ts';
import { joined, pairsOf } from '../subjects.ts';
import { type Entry, remoteEntries } from './entries.ts';
import { entrySubject } from './own-entries.ts';
import { placeOf, reachOf } from './reach.ts';

const SERVER = 'clustermesh-apiserver-server-cert';

/** Of all members; without a second one nothing is known of the remote clusters. */
export function entryFindings(members: readonly Member[]): readonly Finding[] {
  if (members.length < 2) return [];
  return members.flatMap((member) => {
    const entries = remoteEntries(member).filter(({ problem }) => problem === '');
    const findings = entries.flatMap((entry) => {
      const remote = members.find((each) => each !== member && each.isNamed && each.name === entry.name);
      return remote === undefined ? unknownRemote(member, entry, members) : knownRemote(member, entry, remote);
    });
    if (findings.length > 0 || entries.length === 0) return findings;
    return [passed('entry-addresses', member.label, `the entries have addresses of ${joined(entries.map(({ name }) => name))}`)];
  });
}

function unknownRemote(member: Member, entry: Entry, members: readonly Member[]): readonly Finding[] {
  // A cluster without a usable name has a finding already.
  if (members.some(({ isNamed }) => !isNamed)) return [];
  const subject = entrySubject(member, entry);
  const owner = members.find((each) => each !== member && isAt(entry, each));
  if (owner !== undefined)
    return [
      failed(
        'entry-name',
        subject,
        `the cluster at these addresses is named ${owner.label}; an entry must have the name of its cluster`,
        `clustermesh-apiserver disconnect --context=${member.context} --destination-name=${entry.name} --force; clustermesh-apiserver connect --context=${member.context} --destination-context=${owner.context}`,
      ),
    ];
  return [
    undecided(
      'entry-cluster',
      subject,
      `none of the given contexts is of a cluster ${entry.name}`,
      `add its context with --destination-context; if the cluster no longer exists: clustermesh-apiserver disconnect --context=${member.context} --destination-name=${entry.name} --force`,
    ),
  ];
}

function knownRemote(member: Member, entry: Entry, remote: Member): readonly Finding[] {
  return [...addressFindings(member, entry, remote), ...nameFindings(member, entry, remote)];
}

/** Addresses that clients do not resolve themselves; with an address of a proxy in front it cannot be known, hence no error. */
function addressFindings(member: Member, entry: Entry, remote: Member): readonly Finding[] {
  const reach = reachOf(remote);
  const places = entry.endpoints.flatMap(({ addresses, port }) => addresses?.map((each) => ({ each, port })) ?? []);
  if (reach === undefined || reach.places.size === 0) return [];
  const stale = places.filter(({ each, port }) => !reach.places.has(placeOf(each, port)));
  if (stale.length === 0) return [];
  const named = joined([...new Set(stale.map(({ each, port }) => `${each} port ${port}`))]);
  const all =
    stale.length === places.length
      ? 'none of its addresses belongs'
      : `${stale.length} of ${places.length} addresses do not belong`;
  return [
    warned(
      'entry-addresses',
      entrySubject(member, entry),
      `${all} to the Service or a node of ${remote.label} now: ${named}`,
      `connect again: clustermesh-apiserver connect --context=${member.context} --destination-context=${remote.context}`,
    ),
  ];
}

function nameFindings(member: Member, entry: Entry, remote: Member): readonly Finding[] {
  const secret = remote.secrets.get(SERVER);
  const [certificate] = secret === undefined || typeof secret === 'string' ? [] : certificatesIn(secret, 'tls.crt');
  if (certificate === undefined) return [];
  const hosts = [...new Set(entry.endpoints.map(({ host }) => host))];
  // The names that every server certificate must have are checked with the certificate.
  const lacking = hosts.filter((host) => !host.endsWith('.mesh.cilium.io') && nameVerdict(certificate, host) !== 'covered');
  if (lacking.length === 0) return [];
  return [
    failed(
      'entry-server-name',
      entrySubject(member, entry),
      `the server certificate of ${remote.label} does not have ${joined(lacking)}; it has ${joined(certificate.alternativeNames)}`,
      'add the names to tls.server.extraDnsNames (Cilium: clustermesh.apiserver.tls.auto.server.extraDnsNames), or connect again',
    ),
  ];
}

/** Both clusters must list each other, unless only one of them is to use the services of the other. */
export function bothSides(members: readonly Member[]): readonly Finding[] {
  return pairsOf(members).flatMap(([one, other]) => {
    if (!one.isNamed || !other.isNamed) return [];
    const subject = joined([one.label, other.label]);
    const [outward, inward] = [lists(one, other), lists(other, one)];
    if (outward === undefined || inward === undefined) return [];
    if (outward === inward)
      return [passed('both-sides', subject, outward ? 'each has an entry of the other' : 'not connected with each other')];
    const [has, lacks] = outward ? [one, other] : [other, one];
    if (remoteEntries(lacks).some((entry) => isAt(entry, has))) return [];
    const evidence = `${has.label} has an entry of ${lacks.label}, and ${lacks.label} has none of ${has.label}`;
    const remedy = `clustermesh-apiserver connect --context=${has.context} --destination-context=${lacks.context}`;
    return [warned('both-sides', subject, evidence, remedy)];
  });
}

function lists(member: Member, remote: Member): boolean | undefined {
  if (member.secrets.get('cilium-kvstoremesh') === 'unread' || member.secrets.get('cilium-clustermesh') === 'unread')
    return undefined;
  return remoteEntries(member).some(({ name }) => name === remote.name);
}

function isAt({ endpoints }: Entry, member: Member): boolean {
  const reach = reachOf(member);
  const places = endpoints.flatMap(({ addresses, port }) => addresses?.map((each) => placeOf(each, port)) ?? []);
  return reach !== undefined && places.length > 0 && places.every((each) => reach.places.has(each));
}
