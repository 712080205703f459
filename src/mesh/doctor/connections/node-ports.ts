/**
 * Node ports that are equal in two clusters.
 *
 * On a node address that both have, it is not known which etcd answers. And up to Cilium 1.18, with its replacement of kube-proxy,
 * a connection to a node port of another cluster reached the own etcd if the own Service had the same node port.
 */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { failed, passed, warned } from '../catalogue.ts';
import type { Member } from '../facts.ts';
import { versionOf } from '../members/versions.ts';
import { joined, kubectl, pairsOf } from '../subjects.ts';
import { reachOf } from './reach.ts';

/** The first minor version in which a node port of another cluster is never taken for an own one. */
const CORRECTED_MINOR = 19;

export function nodePorts(members: readonly Member[]): readonly Finding[] {
  return pairsOf(members).flatMap(([one, other]) => {
    const [a, b] = [reachOf(one), reachOf(other)];
    const port = a?.nodePorts.find((each) => b?.nodePorts.includes(each));
    const subject = joined([one.label, other.label]);
    if (a === undefined || b === undefined) return [];
    if (port === undefined) return [passed('same-node-port', subject, 'no node port is used by both Services')];
    const remedy = `set another node port in one of them: clustermesh.apiserver.service.nodePort of Cilium, or ${kubectl(other, `patch service clustermesh-apiserver --type=json -p '[{"op":"replace","path":"/spec/ports/0/nodePort","value":${freePort(port)}}]'`)}; then connect again`;
    const shared = [...a.nodeAddresses].filter((each) => b.nodeAddresses.has(each));
    if (shared.length > 0) {
      const evidence = `both Services have node port ${port}, and both clusters have nodes with ${joined(shared)}`;
      return [failed('same-node-port', subject, evidence, remedy)];
    }
    const affected = [one, other].filter(takesForOwn);
    if (affected.length === 0)
      return [passed('same-node-port', subject, `both Services have node port ${port}, on different nodes`)];
    const evidence = `both Services have node port ${port}, and Cilium of ${joined(affected.map(({ label }) => label))} takes it for its own`;
    return [warned('same-node-port', subject, evidence, remedy)];
  });
}

function takesForOwn(member: Member): boolean {
  const version = versionOf(member.agents);
  return (
    version !== undefined &&
    version.minor < CORRECTED_MINOR &&
    ['true', 'strict'].includes(String(member.config['kube-proxy-replacement']))
  );
}

function freePort(port: number): number {
  return port < 32_767 ? port + 1 : port - 1;
}
