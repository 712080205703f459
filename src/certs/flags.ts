/** The flags of `certs`, named as in Cilium's certgen where it has them. */
import { isIP } from 'node:net';
import { listKind } from '../shared/flags/collections.ts';
import { FlagError } from '../shared/flags/error.ts';
import { type Kind, quoted } from '../shared/flags/kinds.ts';
import { kubernetesFlags, logFlags } from '../shared/flags/shared-flags.ts';
import { bool, choice, duration, type Flag, type FlagValues, map, text } from '../shared/flags/table.ts';

/** RFC 1123; the first label may be a star. */
const DNS_NAME = /^(?=.{1,253}$)(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/i;
const DOMAIN = /^(?=.{1,128}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const CLUSTER_NAME = /^(?=.{1,32}$)([a-z0-9][-a-z0-9]*)?[a-z0-9]$/;
const OBJECT_NAME = /^(?=.{1,253}$)[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/;

function matching(pattern: RegExp, what: string): Kind<string> {
  return {
    name: 'string',
    parse(value) {
      if (pattern.test(value)) return value;
      throw new FlagError(`${quoted(value)} is not ${what}`);
    },
    format: (value) => value,
  };
}

function listOf(isAllowed: (part: string) => boolean, what: string): Kind<readonly string[]> {
  return {
    ...listKind,
    parse(value, source) {
      const parts = listKind.parse(value, source);
      const wrong = parts.find((part) => !isAllowed(part));
      if (wrong !== undefined) throw new FlagError(`${quoted(wrong)} is not ${what}`);
      return parts;
    },
  };
}

const names = listOf((part) => DNS_NAME.test(part), 'a DNS name; allowed: such as etcd.example.org or *.example.org');
const addresses = listOf((part) => isIP(part) !== 0, 'an IP address; allowed: such as 192.0.2.1 or 2001:db8::1');
const clusterName = matching(CLUSTER_NAME, 'the name of a cluster; allowed: at most 32 of a-z, 0-9 and "-"');
const domain = matching(DOMAIN, 'a DNS domain; allowed: such as cluster.local');
const objectName = matching(OBJECT_NAME, 'the name of an object of Kubernetes; allowed: a-z, 0-9, "-" and "."');

function flag<T>(kind: Kind<T>, preset: T, usage: string, shorthand?: string): Flag<T> {
  return { kind, default: preset, usage, suffix: '', ...(shorthand === undefined ? {} : { shorthand }) };
}

/** `certs` sends short requests only, no watches. */
const { 'enable-k8s': _, 'enable-k8s-api-discovery': __, 'k8s-heartbeat-timeout': ___, ...connectionFlags } = kubernetesFlags;

/** What the certificates must be. */
const certificateFlags = {
  ...connectionFlags,
  namespace: flag(objectName, 'kube-system', 'Namespace of the Secrets', 'n'),
  'cluster-name': flag(clusterName, 'default', 'Name of this cluster, part of the etcd user names'),
  'cluster-domain': flag(domain, 'cluster.local', 'Domain of Services, in the names of the members of a replicated etcd'),
  'ca-secret': flag(objectName, 'cilium-ca', 'Secret with ca.crt and ca.key of the CA'),
  'extra-ca-file': text('', 'PEM file of additional trusted CAs, such as those of other clusters', {
    candidates: 'files',
  }),
  'extra-dns-names': flag(names, [], 'Additional DNS names of the server certificate'),
  'extra-ip-addresses': flag(addresses, [], 'Additional IP addresses of the server certificate'),
  'renew-before': duration('0s', 'Time before expiry at which a certificate is renewed; 0 for a third of its validity', {
    max: '87600h',
  }),
};

const issuingFlags = {
  ...certificateFlags,
  ...logFlags,
  'auth-mode': choice(
    ['legacy', 'migration', 'cluster'],
    'migration',
    'Authentication mode of the mesh; the remote certificate is for the user remote, with cluster for remote-CLUSTER',
  ),
  'ca-common-name': text('Cilium CA', 'Common name of a new CA'),
  'ca-validity-duration': duration('26280h', 'Validity of a new CA', { min: '1h', max: '876000h' }),
  'cert-validity-duration': duration('8760h', 'Validity of a new certificate, at most that of the CA', {
    min: '1h',
    max: '87600h',
  }),
  'overwrite-foreign': bool(false, 'Also change Secrets that are managed by Helm, cert-manager or others'),
};

export const generateFlagTable = {
  ...issuingFlags,
  peer: bool(false, 'Create the certificate for the members of a replicated etcd too; it is always renewed if it exists'),
  'ca-generate': bool(true, 'Create the CA if its Secret does not exist'),
  'ca-reuse-secret': bool(true, 'Accepted; an existing CA is always reused', { inert: true }),
};

export const rotateFlagTable = {
  ...issuingFlags,
  'etcd-endpoint': flag(
    listOf((part) => URL.canParse(part) && part.startsWith('https://'), 'the URL of an etcd; allowed: https://host:port'),
    [],
    'URLs (https://host:port) of etcds, also of remote clusters, that must be ready for the step',
  ),
};

export const checkFlagTable = {
  ...certificateFlags,
  'auth-mode': choice(
    ['any', 'legacy', 'migration', 'cluster'],
    'any',
    'Authentication mode of the mesh; any accepts both remote and remote-CLUSTER',
  ),
  directory: map('Check mounted files instead of Secrets: server, admin, remote, local or peer=DIRECTORY, separated by commas', {
    candidates: 'files',
  }),
  output: text('', "Another form of output: json, yaml or jsonpath='{…}'", {
    shorthand: 'o',
    candidates: ['json', 'yaml', 'jsonpath='],
  }),
};

/** The flags of one run, by name in camel case; durations in milliseconds. */
export type IssuingFlags = FlagValues<typeof issuingFlags>;
export type GenerateFlags = FlagValues<typeof generateFlagTable>;
export type RotateFlags = FlagValues<typeof rotateFlagTable>;
export type CheckFlags = FlagValues<typeof checkFlagTable>;
