/** What the flags tell about the members of a replicated etcd. */
import { isIP } from 'node:net';
import type { EtcdConfig } from '../../shared/etcd/config.ts';
import { readEtcdConfig } from '../../shared/etcd/config.ts';
import { FlagError } from '../../shared/flags/error.ts';
import { quoted } from '../../shared/flags/kinds.ts';
import { parseKvstoreOptions } from '../../shared/flags/kvstore-options.ts';
import { MAX_INITIAL_MEMBERS } from '../../shared/limits.ts';
import type { EtcdinitFlags } from '../flags.ts';

export interface PlannedMember {
  /** etcd's `--name`, the name of its Pod. */
  readonly name: string;
  /** As given: etcd compares such URLs as texts. */
  readonly peerUrl: string;
  readonly host: string;
  readonly peerPort: number;
  /** Where clients reach it: `https://host:2379`. */
  readonly clientUrl: string;
}

export interface PeerFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  /** Common name of the certificates of all members. */
  readonly allowedCn: string;
}

export interface Plan {
  readonly clusterName: string;
  readonly dataDir: string;
  readonly tokenPrefix: string;
  readonly self: PlannedMember;
  readonly others: readonly PlannedMember[];
  /** The one member that may begin a cluster. */
  readonly isFirst: boolean;
  readonly peer: PeerFiles;
  /** How to log in to other members; its endpoints have no meaning. */
  readonly admin: EtcdConfig;
}

/** Whether the flags ask for a member of a replicated etcd. Throws FlagError where one of the two flags is missing. */
export function isReplicated({ etcdMemberName: name, etcdInitialCluster: members }: EtcdinitFlags): boolean {
  if ((name === '') === (members === '')) return name !== '';
  const [given, missing] = name === '' ? ['initial-cluster', 'member-name'] : ['member-name', 'initial-cluster'];
  throw new FlagError(`flag --etcd-${given}: it requires --etcd-${missing}; set both or none`);
}

/** Reads the etcd configuration file too. Throws FlagError, KvstoreOptionError or EtcdConfigError. */
export async function planOf(flags: EtcdinitFlags): Promise<Plan> {
  const { clusterName, etcdMemberName: name } = flags;
  const admin = await adminConfig(flags.kvstoreOpt);
  const scheme = admin.endpoints[0]?.startsWith('http://') ? 'http:' : 'https:';
  const members = membersOf(flags.etcdInitialCluster).map(({ host, ...member }) => ({
    ...member,
    host,
    clientUrl: `${scheme}//${isIP(host) === 6 ? `[${host}]` : host}:${flags.etcdClientPort}`,
  }));
  const self = members.find((member) => member.name === name);
  if (self === undefined) {
    const allowed = members.map((member) => member.name).join(', ');
    throw new FlagError(`flag --etcd-member-name: ${quoted(name)} is not in --etcd-initial-cluster; allowed: ${allowed}`);
  }
  return {
    clusterName,
    dataDir: flags.etcdDataDir,
    tokenPrefix: flags.etcdInitialClusterToken,
    self,
    others: members.filter((member) => member !== self),
    isFirst: members[0] === self,
    peer: {
      certFile: flags.etcdPeerCertFile,
      keyFile: flags.etcdPeerKeyFile,
      caFile: flags.etcdPeerTrustedCaFile,
      allowedCn: flags.etcdPeerCertAllowedCn || `peer-${clusterName}`,
    },
    admin,
  };
}

async function adminConfig(options: EtcdinitFlags['kvstoreOpt']): Promise<EtcdConfig> {
  const { etcdConfigPath, address } = parseKvstoreOptions(options);
  return etcdConfigPath === undefined ? { endpoints: [address ?? ''] } : readEtcdConfig(etcdConfigPath);
}

const FORM = 'allowed: name=https://host:port, separated by commas, each name and host once';

function membersOf(text: string): readonly Omit<PlannedMember, 'clientUrl'>[] {
  const members = text.split(',').map(memberOf);
  if (members.length > MAX_INITIAL_MEMBERS)
    throw new FlagError(`flag --etcd-initial-cluster: ${members.length} members; allowed: 1 to ${MAX_INITIAL_MEMBERS}`);
  for (const key of ['name', 'host'] as const) {
    const values = members.map((member) => member[key]);
    const twice = values.find((value, index) => values.indexOf(value) !== index);
    if (twice !== undefined) throw new FlagError(`flag --etcd-initial-cluster: ${quoted(twice)} is duplicated; ${FORM}`);
  }
  return members;
}

function memberOf(text: string): Omit<PlannedMember, 'clientUrl'> {
  const [, name = '', peerUrl = ''] = /^([^=\s]+)=(https:\/\/[^/?#@\s]+:\d+)$/.exec(text) ?? [];
  if (!URL.canParse(peerUrl)) throw new FlagError(`flag --etcd-initial-cluster: ${quoted(text)} is invalid; ${FORM}`);
  const url = new URL(peerUrl);
  const peerPort = Number(url.port || 443);
  return { name, peerUrl, host: url.hostname.replace(/^\[(.*)\]$/, '$1'), peerPort };
}
