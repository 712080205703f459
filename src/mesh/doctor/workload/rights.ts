/** Custom resources and rights that clustermesh-apiserver needs. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import type { JsonRecord } from '../../../shared/kubernetes/objects/json.ts';
import { failed, passed } from '../catalogue.ts';
import type { Member } from '../facts.ts';
import { joined, kubectl, objectOf } from '../subjects.ts';
import { hasExporter } from './containers.ts';

interface Need {
  readonly group: string;
  readonly plural: string;
  readonly verbs: readonly string[];
}

const FOLLOWED = ['list', 'watch'];
const MCS_GROUP = 'multicluster.x-k8s.io';

export function resourceFindings(member: Member): readonly Finding[] {
  const { resources, label } = member;
  if (resources === 'unread') return [];
  const wanted = [
    'ciliumnodes.cilium.io',
    'ciliumidentities.cilium.io',
    'ciliumendpoints.cilium.io',
    ...(hasSlices(member) ? ['ciliumendpointslices.cilium.io'] : []),
    ...(hasMcs(member) ? [`serviceexports.${MCS_GROUP}`, `serviceimports.${MCS_GROUP}`] : []),
  ];
  const missing = wanted.filter((name) => !resources.has(name));
  if (missing.length === 0) return [passed('custom-resources', label, `${wanted.length} custom resources are served`)];
  return missing.map((name) => {
    const remedy = name.endsWith(MCS_GROUP)
      ? 'install the CRDs of the MCS API: clustermesh.mcsapi.installCRDs=true of Cilium'
      : `the operator of Cilium installs it: ${kubectl(member, 'logs deployment/cilium-operator')}`;
    return failed('custom-resources', `${label}: CustomResourceDefinition ${name}`, 'it does not exist', remedy);
  });
}

/** Without the container that reads them no right is needed. */
export function rightFindings(member: Member): readonly Finding[] {
  const { rules } = member;
  if (rules === 'unread' || !hasExporter(member.workload)) return [];
  const needs: readonly Need[] = [
    ...['ciliumnodes', 'ciliumidentities'].map((plural) => ({ group: 'cilium.io', plural, verbs: FOLLOWED })),
    { group: 'cilium.io', plural: hasSlices(member) ? 'ciliumendpointslices' : 'ciliumendpoints', verbs: FOLLOWED },
    { group: '', plural: 'services', verbs: FOLLOWED },
    { group: '', plural: 'namespaces', verbs: FOLLOWED },
    { group: 'discovery.k8s.io', plural: 'endpointslices', verbs: FOLLOWED },
    { group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions', verbs: ['list'] },
    ...(hasMcs(member) ? [{ group: MCS_GROUP, plural: 'serviceexports', verbs: FOLLOWED }] : []),
  ];
  const lacking = needs.flatMap(({ group, plural, verbs }) => {
    const missing = verbs.filter((verb) => !rules.some((rule) => allows(rule, group, plural, verb)));
    return missing.length === 0 ? [] : [`${missing.join(' and ')} of ${group === '' ? plural : `${plural}.${group}`}`];
  });
  const subject = objectOf(member, 'ServiceAccount', accountOf(member));
  if (lacking.length === 0) return [passed('service-account-rights', subject, 'its ClusterRoles allow everything that is read')];
  return [
    failed(
      'service-account-rights',
      subject,
      `its ClusterRoles do not allow ${joined(lacking)}`,
      `add get, list and watch of them to ClusterRole clustermesh-apiserver and bind it: kubectl --context=${member.context} edit clusterrole clustermesh-apiserver`,
    ),
  ];
}

function accountOf({ workload }: Member): string {
  const { spec } = workload as { spec?: { template?: { spec?: { serviceAccountName?: unknown } } } };
  return String(spec?.template?.spec?.serviceAccountName ?? 'default');
}

/** Rules that name objects do not allow to list. */
function allows(
  { apiGroups, resources, verbs, resourceNames }: JsonRecord,
  group: string,
  plural: string,
  verb: string,
): boolean {
  const has = (list: unknown, value: string) => Array.isArray(list) && (list.includes(value) || list.includes('*'));
  const isRestricted = Array.isArray(resourceNames) && resourceNames.length > 0;
  return !isRestricted && has(apiGroups, group) && has(resources, plural) && has(verbs, verb);
}

function hasSlices({ config }: Member): boolean {
  return config['enable-cilium-endpoint-slice'] === 'true';
}

function hasMcs({ config }: Member): boolean {
  return config['clustermesh-enable-mcs-api'] === 'true';
}
