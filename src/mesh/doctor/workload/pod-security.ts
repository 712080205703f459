/** Pod security: whether the label of the namespace rejects the Pods. The rules are those of the Pod Security Standards. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { type JsonRecord, recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { recordsOf } from '../../addresses.ts';
import { failed, passed } from '../catalogue.ts';
import type { Member } from '../facts.ts';
import { joined } from '../subjects.ts';

const LABEL = 'pod-security.kubernetes.io/enforce';
const RESTRICTED_VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
];
/** Capabilities that containers may add with `baseline`. */
const BASELINE_CAPABILITIES = [
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
];

export function podSecurity(member: Member): readonly Finding[] {
  const { ownNamespace, workload, label, namespace, context } = member;
  if (typeof ownNamespace === 'string' || typeof workload === 'string') return [];
  const level = recordOf(recordOf(ownNamespace.metadata).labels)[LABEL];
  const subject = `${label}: Namespace ${namespace}`;
  const spec = recordOf(recordOf(recordOf(workload.spec).template).spec);
  const problems = [
    ...(level === 'baseline' || level === 'restricted' ? baselineProblems(spec) : []),
    ...(level === 'restricted' ? restrictedProblems(spec) : []),
  ];
  if (problems.length === 0) {
    const evidence = typeof level === 'string' ? `${LABEL}=${level} admits the Pods` : 'Pod security is not enforced';
    return [passed('pod-security', subject, evidence)];
  }
  return [
    failed(
      'pod-security',
      subject,
      `its label ${LABEL}=${String(level)} rejects new Pods: ${joined(problems)}`,
      `set the fields in the values of the chart, or: kubectl --context=${context} label namespace ${namespace} --overwrite ${LABEL}=privileged`,
    ),
  ];
}

function containersIn(spec: JsonRecord): readonly JsonRecord[] {
  return [...recordsOf(spec.initContainers), ...recordsOf(spec.containers)];
}

function baselineProblems(spec: JsonRecord): readonly string[] {
  const shared = ['hostNetwork', 'hostPID', 'hostIPC'].filter((field) => spec[field] === true);
  const paths = recordsOf(spec.volumes)
    .filter(({ hostPath }) => hostPath !== undefined)
    .map(({ name }) => `hostPath of volume ${String(name)}`);
  const perContainer = containersIn(spec).flatMap(({ name, ports, securityContext }) => {
    const { privileged, capabilities } = recordOf(securityContext);
    const added = namesIn(recordOf(capabilities).add).filter((each) => !BASELINE_CAPABILITIES.includes(each));
    return [
      ...(privileged === true ? ['privileged'] : []),
      ...(recordsOf(ports).some(({ hostPort }) => Number(hostPort ?? 0) > 0) ? ['hostPort'] : []),
      ...(added.length > 0 ? [`capabilities ${added.join(', ')}`] : []),
    ].map((problem) => `${problem} of container ${String(name)}`);
  });
  return [...shared, ...paths, ...perContainer];
}

function restrictedProblems(spec: JsonRecord): readonly string[] {
  const pod = recordOf(spec.securityContext);
  const volumes = recordsOf(spec.volumes)
    .filter((volume) => volume.hostPath === undefined && !RESTRICTED_VOLUMES.some((type) => volume[type] !== undefined))
    .map(({ name }) => `volume ${String(name)}`);
  const perContainer = containersIn(spec).flatMap(({ name, securityContext }) => {
    const own = recordOf(securityContext);
    const { drop, add } = recordOf(own.capabilities);
    const profile = recordOf(own.seccompProfile).type ?? recordOf(pod.seccompProfile).type;
    return [
      ...(own.allowPrivilegeEscalation === false ? [] : ['allowPrivilegeEscalation is not false']),
      ...((own.runAsNonRoot ?? pod.runAsNonRoot) === true ? [] : ['runAsNonRoot is not true']),
      ...((own.runAsUser ?? pod.runAsUser) === 0 ? ['runAsUser is 0'] : []),
      ...(namesIn(drop).includes('ALL') && namesIn(add).every((each) => each === 'NET_BIND_SERVICE')
        ? []
        : ['capabilities are not dropped']),
      ...(profile === 'RuntimeDefault' || profile === 'Localhost' ? [] : ['seccompProfile is not set']),
    ].map((problem) => `${problem} in container ${String(name)}`);
  });
  return [...volumes, ...perContainer];
}

function namesIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
