/** The CIDRs of Services: from ServiceCIDR objects, else from kubeadm's configuration, else from the Service of the API server. */
import { parse } from 'yaml';
import { type JsonRecord, recordOf } from '../../../shared/kubernetes/objects/json.ts';
import type { ClusterFacts } from '../facts.ts';
import type { Reader } from './reader.ts';

const PURPOSE = 'CIDRs of Services';
/** Characters of kubeadm's configuration. */
const MAX_CONFIGURATION_LENGTH = 100_000;

export async function serviceCidrs(reader: Reader): Promise<ClusterFacts['serviceCidrs']> {
  const path = '/apis/networking.k8s.io/v1/servicecidrs';
  const served = await reader.list({ path, resource: 'servicecidrs.networking.k8s.io', purpose: PURPOSE });
  if (served === 'unread') return 'unread';
  if (served.length > 0) return served.flatMap((each) => textsOf(recordOf(each.spec).cidrs));
  const [kubeadm, service] = await Promise.all([
    reader.object({
      path: '/api/v1/namespaces/kube-system/configmaps/kubeadm-config',
      resource: 'configmaps',
      purpose: PURPOSE,
    }),
    reader.object({ path: '/api/v1/namespaces/default/services/kubernetes', resource: 'services', purpose: PURPOSE }),
  ]);
  const subnets = subnetsOf(recordOf(kubeadm));
  if (subnets.length > 0) return subnets;
  if (service === 'unread') return 'unread';
  return textsOf(recordOf(recordOf(service).spec).clusterIPs).map((ip) => (ip.includes(':') ? `${ip}/128` : `${ip}/32`));
}

function subnetsOf(configMap: JsonRecord): readonly string[] {
  const text = recordOf(configMap.data).ClusterConfiguration;
  if (typeof text !== 'string' || text.length > MAX_CONFIGURATION_LENGTH) return [];
  try {
    const { serviceSubnet } = recordOf(recordOf(parse(text)).networking);
    return typeof serviceSubnet === 'string' ? serviceSubnet.split(',').map((each) => each.trim()) : [];
  } catch {
    return [];
  }
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}
