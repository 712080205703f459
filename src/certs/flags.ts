/** The flags of the commands `certs`. Their names are those of Cilium's certgen where it has the same. */
import { isIP } from 'node:net';
import { listKind } from '../shared/flags/collections.ts';
import { FlagError } from '../shared/flags/error.ts';
import { type Kind, quoted } from '../shared/flags/kinds.ts';
import { kubernetesFlags, logFlags } from '../shared/flags/shared-flags.ts';
import { bool, choice, duration, type Flag, type FlagValues, map, text } from '../shared/flags/table.ts';

/** RFC 1123, a star for the first label allowed. */
const DNS_NAME = /^(?=.{1,253}$)(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/i;
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
const objectName = matching(OBJECT_NAME, 'the name of an object of Kubernetes; allowed: a-z, 0-9, "-" and "."');

function flag<T>(kind: Kind<T>, preset: T, usage: string, shorthand?: string): Flag<T> {
  return { kind, default: preset, usage, suffix: '', ...(shorthand === undefined ? {} : { shorthand }) };
}

/** Short requests, without a watch. */
const { 'enable-k8s': _, 'enable-k8s-api-discovery': __, 'k8s-heartbeat-timeout': ___, ...connectionFlags } = kubernetesFlags;

/** Which certificates there are, and when they are too old. */
const certificateFlags = {
  ...connectionFlags,
  namespace: flag(objectName, 'kube-system', 'Namespace of the Secrets', 'n'),
  'cluster-name': flag(clusterName, 'default', 'Name of this cluster, part of the names of etcd users'),
  'ca-secret': flag(objectName, 'cilium-ca', 'Secret of the CA, with ca.crt and ca.key'),
  'extra-ca-file': text('', 'PEM file of more CAs that the Secrets trust, such as those of other clusters', {
    candidates: 'files',
  }),
  'extra-dns-names': flag(names, [], 'More DNS names of the server certificate'),
  'extra-ip-addresses': flag(addresses, [], 'More IP addresses of the server certificate'),
  'renew-before': duration('0s', 'How long before its end a certificate is renewed; 0 for a third of its life', {
    max: '87600h',
  }),
};

const issuingFlags = {
  ...certificateFlags,
  ...logFlags,
  'auth-mode': choice(
    ['legacy', 'migration', 'cluster'],
    'migration',
    'Whom remote clusters are to this one: the user remote, or with cluster remote-CLUSTER',
  ),
  'ca-common-name': text('Cilium CA', 'Common name of a CA that is created'),
  'ca-validity-duration': duration('26280h', 'Life of a CA that is created', { min: '1h', max: '876000h' }),
  'cert-validity-duration': duration('8760h', 'Life of a certificate, unless its CA ends before', { min: '1h', max: '87600h' }),
  'overwrite-foreign': bool(false, 'Change Secrets that Helm, cert-manager or others manage, too'),
};

export const generateFlagTable = {
  ...issuingFlags,
  'ca-generate': bool(true, 'Create the CA where its Secret does not exist'),
  'ca-reuse-secret': bool(true, 'Accepted; a CA that exists is always used', { inert: true }),
};

export const rotateFlagTable = {
  ...issuingFlags,
  'etcd-endpoint': flag(
    listOf((part) => URL.canParse(part) && part.startsWith('https://'), 'the URL of an etcd; allowed: https://host:port'),
    [],
    'Etcds that are asked before the step whether they are ready for it, of remote clusters too: https://host:port',
  ),
};

export const checkFlagTable = {
  ...certificateFlags,
  'auth-mode': choice(
    ['any', 'legacy', 'migration', 'cluster'],
    'any',
    'Whom remote clusters are to this one; any accepts remote and remote-CLUSTER',
  ),
  directory: map('Check mounted files instead, such as server=/var/lib/etcd-secrets; for server, admin, remote, local', {
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
