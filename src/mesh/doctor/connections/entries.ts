/** The Secrets `cilium-kvstoremesh` and `cilium-clustermesh` as entries of remote clusters. */
import { asError } from '../../../shared/errors.ts';
import { type EtcdConfig, parseEtcdConfig } from '../../../shared/etcd/config.ts';
import { hostKey, parseEndpoint } from '../../../shared/etcd/endpoint-address.ts';
import { recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { CLUSTERMESH_SECRET, KVSTOREMESH_SECRET } from '../../entries.ts';
import type { Member } from '../facts.ts';
import { hasContainer, hostAliasesOf } from '../workload/containers.ts';

/** Entries of a Secret; a mesh has at most 511 clusters. */
const MAX_ENTRIES = 600;
const DIRECTORY = '/var/lib/cilium/clustermesh/';
const CLIENT_FILE = /^(.{1,63})\.etcd-client(-ca)?\.(crt|key)$/;

export interface EntryEndpoint {
  readonly host: string;
  readonly port: number;
  /** Of the entry itself; undefined for a name that DNS resolves. */
  readonly addresses: readonly string[] | undefined;
}

export interface Entry {
  readonly secret: string;
  /** The key of the Secret: the name of the remote cluster. */
  readonly name: string;
  readonly endpoints: readonly EntryEndpoint[];
  /** Names of files below the directory where the Secrets are mounted. */
  readonly files: readonly string[];
  /** Why the entry cannot be used; '' where it can. */
  readonly problem: string;
}

export interface EntrySecret {
  readonly name: string;
  readonly entries: readonly Entry[];
  readonly keys: ReadonlySet<string>;
  /** Clusters that have certificate files and no entry. */
  readonly dangling: readonly string[];
}

/** Those that can be read; a Secret that does not exist has no entry. */
export function entrySecrets(member: Member): readonly EntrySecret[] {
  const aliases = hostAliasesOf(member.workload);
  return [KVSTOREMESH_SECRET, CLUSTERMESH_SECRET].flatMap((name) => {
    const secret = member.secrets.get(name) ?? 'unread';
    if (secret === 'unread') return [];
    return [secretOf(name, secret === 'absent' ? {} : recordOf(secret.data), aliases)];
  });
}

/** Entries with the addresses of remote clusters: those of kvstoremesh, or if it is known to be disabled those of agents. */
export function remoteEntries(member: Member): readonly Entry[] {
  const isCached = typeof member.workload === 'string' || hasContainer(member.workload, 'kvstoremesh');
  const secret = isCached ? KVSTOREMESH_SECRET : CLUSTERMESH_SECRET;
  return entrySecrets(member)
    .filter(({ name }) => name === secret)
    .flatMap(({ entries }) => entries)
    .filter(({ name }) => name !== member.name);
}

/** Whether the entry leads to the etcd of its own cluster by the name of the Service, as those of agents do with kvstoremesh. */
export function isLocal({ endpoints }: Entry, { namespace }: Member): boolean {
  const service = `clustermesh-apiserver.${namespace}.svc`;
  return endpoints.length > 0 && endpoints.every(({ host }) => host === service || host.startsWith(`${service}.`));
}

type Aliases = ReadonlyMap<string, readonly string[]>;

function secretOf(secret: string, data: Readonly<Record<string, unknown>>, aliases: Aliases): EntrySecret {
  const texts = Object.entries(data)
    .filter(([, value]) => typeof value === 'string')
    .map(([key, value]) => [key, Buffer.from(String(value), 'base64').toString('utf8')] as const);
  // As agents and kvstoremesh tell entries from other files.
  const entries = texts
    .filter(([key, text]) => !CLIENT_FILE.test(key) && text.includes('endpoints:'))
    .slice(0, MAX_ENTRIES)
    .map(([key, text]) => entryOf(secret, key, text, aliases));
  const names = new Set(entries.map(({ name }) => name));
  const owners = texts.flatMap(([key]) => CLIENT_FILE.exec(key)?.[1] ?? []);
  return {
    name: secret,
    entries,
    keys: new Set(texts.map(([key]) => key)),
    dangling: [...new Set(owners)].filter((owner) => !names.has(owner)),
  };
}

function entryOf(secret: string, name: string, text: string, aliases: Aliases): Entry {
  try {
    const config = parseEtcdConfig(text, name);
    const files = [config.caFile, config.certFile, config.keyFile]
      .filter((file) => file?.startsWith(DIRECTORY))
      .map((file) => String(file).slice(DIRECTORY.length));
    return { secret, name, endpoints: config.endpoints.map((url) => endpointOf(url, config, aliases)), files, problem: '' };
  } catch (thrown) {
    return { secret, name, endpoints: [], files: [], problem: asError(thrown).message };
  }
}

/** Charts before Cilium 1.20 have the addresses in the Pods, as host aliases. */
function endpointOf(url: string, { hostAliases }: EtcdConfig, aliases: Aliases): EntryEndpoint {
  const { host, port } = parseEndpoint(url);
  const isAddress = /^[\d.]+$|:/.test(host);
  return { host, port, addresses: isAddress ? [host] : (hostAliases?.get(hostKey(host)) ?? aliases.get(hostKey(host))) };
}
