/** The Deployment or StatefulSet, and the containers of its Pods. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { type JsonRecord, recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { recordsOf } from '../../addresses.ts';
import { type CheckId, failed, passed, warned } from '../catalogue.ts';
import type { Member } from '../facts.ts';
import { joined, kubectl, objectOf } from '../subjects.ts';

const NAME = 'clustermesh-apiserver';
const IMAGE_REASONS = ['ErrImagePull', 'ImagePullBackOff', 'InvalidImageName', 'ErrImageNeverPull'];

/** A Deployment that is not ready because of its Pods is reported by their findings alone. */
export function deploymentFindings(member: Member): readonly Finding[] {
  const { workload } = member;
  if (workload === 'unread') return [];
  if (workload === 'absent')
    return [
      failed(
        'workload-exists',
        objectOf(member, 'Deployment', NAME),
        'it does not exist',
        'install clustermesh-apiserver: helm upgrade cilium … --reuse-values --set clustermesh.useAPIServer=true, or the chart of this project',
      ),
    ];
  const kind = String(workload.kind ?? 'Deployment');
  const subject = objectOf(member, kind, NAME);
  const wanted = Number(recordOf(workload.spec).replicas ?? 1);
  const ready = Number(recordOf(workload.status).readyReplicas ?? 0);
  const target = `${kind.toLowerCase()}/${NAME}`;
  if (wanted === 0)
    return [failed('workload-replicas', subject, 'it has 0 replicas', kubectl(member, `scale ${target} --replicas=1`))];
  const pods = podFindings(member);
  if (ready >= wanted) return [...pods, passed('workload-ready', subject, `${ready} of ${wanted} Pods are ready`)];
  if (pods.some(({ verdict }) => verdict === 'error') || hasMissingReference(member)) return pods;
  const evidence = `${ready} of ${wanted} Pods are ready`;
  return [
    ...pods,
    failed(
      'workload-ready',
      subject,
      evidence,
      `${kubectl(member, `describe ${target}`)}; logs: ${kubectl(member, `logs ${target} --all-containers`)}`,
    ),
  ];
}

function hasMissingReference({ missingReferences }: Member): boolean {
  return missingReferences !== 'unread' && missingReferences.length > 0;
}

function podFindings(member: Member): readonly Finding[] {
  const { pods } = member;
  if (pods === 'unread') return [];
  return pods.filter(({ metadata }) => recordOf(metadata).deletionTimestamp === undefined).flatMap((pod) => onePod(member, pod));
}

function onePod(member: Member, pod: JsonRecord): readonly Finding[] {
  const name = String(recordOf(pod.metadata).name);
  const status = recordOf(pod.status);
  const unscheduled = recordsOf(status.conditions).find(
    ({ type, status: value }) => type === 'PodScheduled' && value === 'False',
  );
  if (unscheduled !== undefined) {
    const evidence = `not scheduled: ${String(unscheduled.reason ?? '')} ${String(unscheduled.message ?? '')}`;
    return [failed('pod-scheduling', objectOf(member, 'Pod', name), evidence, kubectl(member, `describe pod ${name}`))];
  }
  const containers = [...recordsOf(status.initContainerStatuses), ...recordsOf(status.containerStatuses)];
  return containers.flatMap((container) => containerFindings(member, name, container));
}

function containerFindings(member: Member, pod: string, container: JsonRecord): readonly Finding[] {
  const name = String(container.name);
  const subject = `${objectOf(member, 'Pod', pod)}, container ${name}`;
  const waiting = recordOf(recordOf(container.state).waiting);
  const last = recordOf(recordOf(container.lastState).terminated);
  const reason = String(waiting.reason ?? '');
  const ended = last.reason === undefined ? '' : `, last ended with ${String(last.reason)} (status ${String(last.exitCode)})`;
  const logs = kubectl(member, `logs ${pod} --container=${name} --previous`);
  const tell = (check: CheckId, evidence: string, remedy: string) => [failed(check, subject, evidence, remedy)];
  if (IMAGE_REASONS.includes(reason))
    return tell(
      'pod-image',
      `${reason}: ${String(waiting.message ?? container.image ?? '')}`,
      `correct the image or its pull Secret: ${kubectl(member, `describe pod ${pod}`)}`,
    );
  if (last.reason === 'OOMKilled') {
    const remedy = 'raise the memory limit of the container (resources.limits.memory of the chart)';
    const evidence = `killed at its memory limit (OOMKilled), ${String(container.restartCount ?? 0)} restarts`;
    return reason === '' ? [warned('pod-memory', subject, evidence, remedy)] : [failed('pod-memory', subject, evidence, remedy)];
  }
  if (reason === 'CrashLoopBackOff' || reason === 'RunContainerError' || reason === 'CreateContainerConfigError')
    return tell('pod-crash', `${reason}${ended}`, reason === 'CrashLoopBackOff' ? logs : kubectl(member, `describe pod ${pod}`));
  return [];
}

/** Objects that a Pod waits for; certificates have findings of their own. */
export function referenceFindings(member: Member): readonly Finding[] {
  const { missingReferences, workload } = member;
  if (missingReferences === 'unread' || typeof workload === 'string') return [];
  const certificates = [...member.secrets]
    .filter(([, fact]) => fact === 'absent')
    .map(([name]) => `Secret ${member.namespace}/${name}`);
  const missing = missingReferences.filter((each) => !certificates.includes(each));
  const subject = objectOf(member, String(workload.kind ?? 'Deployment'), NAME);
  if (missing.length === 0) return [passed('pod-references', subject, 'all objects that the Pods refer to exist')];
  return missing.map((reference) =>
    failed(
      'pod-references',
      subject,
      `the Pods refer to ${reference}, which does not exist, and do not start`,
      reference.endsWith('/clustermesh-remote-users')
        ? `set clustermesh.config.enabled=true of Cilium, or: ${kubectl(member, `create configmap clustermesh-remote-users --from-literal='users.yaml=users: []'`)}`
        : `create it, or remove the reference; ${joined(missing)} must exist in namespace ${member.namespace}`,
    ),
  );
}
