/** The flags of `mcsapi-coredns-cfg`: the objects of CoreDNS, the domains, and the connection to Kubernetes. */
import { FlagError } from '../shared/flags/error.ts';
import { type Kind, quoted } from '../shared/flags/kinds.ts';
import { kubernetesFlags, logFlags } from '../shared/flags/shared-flags.ts';
import { type Flag, type FlagValues, text } from '../shared/flags/table.ts';

/** RFC 1123: it is written into a Corefile, where white space and braces have a meaning. */
const DOMAIN = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

const domainKind: Kind<string> = {
  name: 'string',
  parse(text) {
    if (DOMAIN.test(text)) return text;
    throw new FlagError(`${quoted(text)} is not a domain; allowed: a-z, 0-9, "-" and ".", such as cluster.local`);
  },
  format: (value) => value,
};

function domain(preset: string, usage: string): Flag<string> {
  return { kind: domainKind, default: preset, usage, suffix: '' };
}

export const corednsFlagTable = {
  ...kubernetesFlags,
  ...logFlags,
  'coredns-cluster-domain': domain('cluster.local', 'Domain of this cluster'),
  'coredns-clusterset-domain': domain('clusterset.local', 'Domain of the clusterset'),
  'coredns-configmap-name': text('coredns', 'ConfigMap of CoreDNS that holds the Corefile'),
  'coredns-deployment-name': text('coredns', 'Deployment of CoreDNS'),
  'coredns-namespace': text('kube-system', 'Namespace of CoreDNS'),
};

/** The flags of one run, by name in camel case; durations in milliseconds. */
export type CorednsFlags = FlagValues<typeof corednsFlagTable>;
