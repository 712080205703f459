/** Entries of one cluster by themselves: whether they can be used, and whether their files exist. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { CLUSTERMESH_SECRET } from '../../entries.ts';
import { failed, passed, warned } from '../catalogue.ts';
import type { Member } from '../facts.ts';
import { joined, kubectl, objectOf } from '../subjects.ts';
import { hasContainer, hasExporter } from '../workload/containers.ts';
import { type Entry, type EntrySecret, entrySecrets, isLocal, remoteEntries } from './entries.ts';
import { placeOf, reachOf } from './reach.ts';

/** Files that the Secrets of certificates add to the directory of the entries. A Secret that is missing has its own finding. */
const SHARED_FILE = /^(common|local)-etcd-client(-ca\.crt|\.crt|\.key)$/;

export function ownEntries(member: Member): readonly Finding[] {
  const secrets = entrySecrets(member);
  const findings = [
    ...secrets.flatMap((secret) => contentFindings(member, secret)),
    ...ownCluster(member),
    ...bothSecrets(member, secrets),
    ...bypass(member, secrets),
  ];
  if (findings.length > 0 || secrets.length === 0) return findings;
  const names = [...new Set(secrets.flatMap(({ entries }) => entries.map(({ name }) => name)))];
  const evidence = names.length === 0 ? 'no entry of a remote cluster' : `entries of ${joined(names)}`;
  return [passed('entry-content', member.label, evidence)];
}

function contentFindings(member: Member, secret: EntrySecret): readonly Finding[] {
  const repair = (name: string) =>
    `write it again: clustermesh-apiserver connect --context=${member.context} --destination-context=CONTEXT of cluster ${name}`;
  return [
    ...secret.entries.flatMap((entry) => {
      const subject = entrySubject(member, entry);
      if (entry.problem !== '') return [failed('entry-content', subject, entry.problem, repair(entry.name))];
      const missing = entry.files.filter((file) => !secret.keys.has(file) && !SHARED_FILE.test(file));
      if (missing.length === 0) return [];
      return [failed('entry-files', subject, `it names files that do not exist: ${joined(missing)}`, repair(entry.name))];
    }),
    ...secret.dangling.map((owner) => {
      const subject = objectOf(member, 'Secret', secret.name);
      const evidence = `it has certificate files ${owner}.etcd-client* and no entry ${owner}`;
      const remedy = `remove them: clustermesh-apiserver disconnect --context=${member.context} --destination-name=${owner} --force`;
      return warned('dangling-entry-files', subject, evidence, remedy);
    }),
  ];
}

/** An entry of another name that leads to the own etcd. */
function ownCluster(member: Member): readonly Finding[] {
  // Without the Deployment it is not known whether kvstoremesh mirrors.
  if (typeof member.workload === 'string') return [];
  const reach = reachOf(member);
  const remotes = remoteEntries(member);
  return remotes.flatMap((entry) => {
    const places = entry.endpoints.flatMap(({ addresses, port }) => addresses?.map((each) => placeOf(each, port)) ?? []);
    const isOwn = reach !== undefined && places.length > 0 && places.every((each) => reach.places.has(each));
    if (!isOwn && !isLocal(entry, member)) return [];
    const evidence = `its addresses are those of ${member.label} itself`;
    const remedy = `connect again with the addresses of ${entry.name}: clustermesh-apiserver connect --context=${member.context} --destination-context=CONTEXT`;
    return [failed('entry-own-cluster', entrySubject(member, entry), evidence, remedy)];
  });
}

/** kvstoremesh reads one Secret, agents the other. */
function bothSecrets(member: Member, secrets: readonly EntrySecret[]): readonly Finding[] {
  if (!hasContainer(member.workload, 'kvstoremesh') || secrets.length < 2) return [];
  return secrets.flatMap(({ entries, name }) => {
    const others = new Set(
      secrets.filter((each) => each.name !== name).flatMap((each) => each.entries.map((entry) => entry.name)),
    );
    return entries.flatMap((entry) => {
      if (others.has(entry.name) || entry.name === member.name) return [];
      const evidence = `the other Secret has no entry ${entry.name}: ${
        name === CLUSTERMESH_SECRET
          ? 'kvstoremesh does not mirror the cluster, and agents wait for it'
          : 'agents do not read what kvstoremesh mirrors'
      }`;
      const remedy = `connect again: clustermesh-apiserver connect --context=${member.context} --destination-context=CONTEXT`;
      return [failed('entry-in-both-secrets', entrySubject(member, entry), evidence, remedy)];
    });
  });
}

function bypass(member: Member, secrets: readonly EntrySecret[]): readonly Finding[] {
  const isCached = hasContainer(member.workload, 'kvstoremesh') && hasExporter(member.workload);
  if (!isCached) return [];
  const agents = secrets.find(({ name }) => name === CLUSTERMESH_SECRET)?.entries ?? [];
  return agents
    .filter((entry) => entry.problem === '' && entry.name !== member.name && !isLocal(entry, member))
    .map((entry) => {
      const hosts = entry.endpoints.map(({ host }) => host);
      const evidence = `agents connect to ${joined(hosts)} and bypass kvstoremesh`;
      const remedy = `connect again: clustermesh-apiserver connect --context=${member.context} --destination-context=CONTEXT; agents follow without a restart (${kubectl(member, 'get secret cilium-clustermesh')})`;
      return warned('agents-use-cache', entrySubject(member, entry), evidence, remedy);
    });
}

export function entrySubject(member: Member, { secret, name }: Entry): string {
  return `${objectOf(member, 'Secret', secret)}, entry ${name}`;
}
