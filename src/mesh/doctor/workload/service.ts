/** The Service of clustermesh-apiserver. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { type JsonRecord, recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { recordsOf } from '../../addresses.ts';
import { failed, passed } from '../catalogue.ts';
import type { Member } from '../facts.ts';
import { kubectl, objectOf } from '../subjects.ts';
import { hasExporter } from './containers.ts';

const NAME = 'clustermesh-apiserver';

export function serviceFindings(member: Member): readonly Finding[] {
  const { service } = member;
  // Without a Deployment a missing Service is no finding of its own, and kvstoremesh alone has none.
  if (service === 'unread' || member.workload === 'absent') return [];
  if (member.workload !== 'unread' && !hasExporter(member.workload)) return [];
  const subject = objectOf(member, 'Service', NAME);
  if (service === 'absent')
    return [
      failed(
        'service-exists',
        subject,
        'it does not exist; other clusters and agents connect through it',
        'create it: helm upgrade cilium … --reuse-values --set clustermesh.apiserver.service.externallyCreated=false, or the chart of this project',
      ),
    ];
  return [...addressFindings(member, service, subject), ...endpointFindings(member, subject)];
}

function addressFindings(member: Member, service: JsonRecord, subject: string): readonly Finding[] {
  const type = String(recordOf(service.spec).type ?? 'ClusterIP');
  if (type !== 'LoadBalancer') return [passed('service-address', subject, `type ${type}`)];
  const ingress = recordsOf(recordOf(recordOf(service.status).loadBalancer).ingress);
  const addresses = ingress.map(({ ip, hostname }) => String(ip ?? hostname ?? ''));
  if (addresses.length > 0) return [passed('service-address', subject, `type LoadBalancer, ${addresses.slice(0, 4).join(', ')}`)];
  const remedy = `${kubectl(member, `describe service ${NAME}`)} shows the events of the load balancer; without a controller for load balancers use NodePort: clustermesh.apiserver.service.type of Cilium`;
  return [failed('service-address', subject, 'the load balancer has no address', remedy)];
}

/** Pods that are not ready have findings of their own. */
function endpointFindings(member: Member, subject: string): readonly Finding[] {
  const { endpointSlices, workload } = member;
  if (endpointSlices === 'unread' || typeof workload === 'string') return [];
  if (Number(recordOf(workload.status).readyReplicas ?? 0) === 0) return [];
  const ready = endpointSlices
    .flatMap(({ endpoints }) => recordsOf(endpoints))
    .filter(({ conditions }) => recordOf(conditions).ready !== false);
  if (ready.length > 0) return [passed('service-endpoints', subject, `${ready.length} endpoints`)];
  const selector = JSON.stringify(recordOf(recordOf(recordOf(member.service).spec).selector));
  const evidence = `Pods are ready, and the Service has no endpoint; its selector is ${selector}`;
  const remedy = kubectl(member, `patch service ${NAME} --patch '{"spec":{"selector":{"k8s-app":"clustermesh-apiserver"}}}'`);
  return [failed('service-endpoints', subject, evidence, remedy)];
}
