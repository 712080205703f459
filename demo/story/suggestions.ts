/** Commands to try with the mesh after the story. */

import type { Mesh } from '../mesh/mesh.ts';
import { type EtcdBinary, findTool, type SearchEnvironment } from '../mesh/processes/etcd-binary.ts';
import { NAMESPACE } from '../mesh/workload/manifests.ts';
import { LOCAL } from './service-steps.ts';

export interface Suggestion {
  readonly what: string;
  readonly commands: readonly string[];
}

const SHARED = 'service.cilium.io/shared';

/** Lines that work on this machine: where etcdctl or kubectl is missing, curl does the same. */
export function suggestions(mesh: Mesh, etcd: EtcdBinary, env: SearchEnvironment): Suggestion[] {
  const etcdctl = findTool('etcdctl', env, etcd);
  const kubectl = findTool('kubectl', env, etcd);
  const all = [
    ...(etcdctl === undefined ? readWithCurl(mesh) : readWithEtcdctl(mesh, etcdctl)),
    ...(kubectl === undefined ? changeWithCurl(mesh) : changeWithKubectl(mesh, kubectl)),
    ...askDaemons(mesh),
  ];
  return all.filter(({ commands }) => commands.length > 0);
}

function readWithEtcdctl({ east, west }: Mesh, etcdctl: string): Suggestion[] {
  const ask = `${etcdctl} --endpoints=${west.etcd.endpoint}`;
  const service = `cilium/cache/services/v1/${east.name}/${NAMESPACE}/${LOCAL.name}`;
  return [
    { what: "All keys of east in west's etcd:", commands: [`${ask} get --prefix --keys-only cilium/cache/`] },
    { what: 'One of its services:', commands: [`${ask} get --print-value-only ${service}`] },
    { what: 'Its changes, in another terminal:', commands: [`${ask} watch --prefix cilium/cache/`] },
  ];
}

function readWithCurl({ west }: Mesh): Suggestion[] {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const range = { key: base64('cilium/cache/'), range_end: base64('cilium/cache0'), keys_only: true };
  return [
    {
      what: "All that west's agents know of east, in base64 (etcdctl shows it in plain text):",
      commands: [`curl -s ${west.etcd.endpoint}/v3/kv/range -d '${JSON.stringify(range)}'`],
    },
  ];
}

function changeWithKubectl({ east }: Mesh, kubectl: string): Suggestion[] {
  const inEast = `${kubectl} --kubeconfig=${east.kubeconfig} -n ${NAMESPACE}`;
  const annotate = `${inEast} annotate service ${LOCAL.name}`;
  const pod = east.workload.services.get(LOCAL.name)?.pods.at(-1);
  return [
    { what: 'The objects in east:', commands: [`${inEast} get services,endpointslices${east.isEmbedded ? ',pods' : ''}`] },
    {
      what: 'Stop sharing a service of east, and share it again:',
      commands: [`${annotate} ${SHARED}=false`, `${annotate} ${SHARED}-`],
    },
    { what: 'Delete one of its pods:', commands: pod && east.isEmbedded ? [`${inEast} delete pod ${pod.name}`] : [] },
  ];
}

function changeWithCurl({ east }: Mesh): Suggestion[] {
  const patch = (value: string | null) => JSON.stringify({ metadata: { annotations: { [SHARED]: value } } });
  const url = `${east.kubernetes.server}/api/v1/namespaces/${NAMESPACE}/services/${LOCAL.name}`;
  const send = `curl -s -X PATCH -H content-type:application/merge-patch+json ${url}`;
  return [
    {
      what: 'Stop sharing a service of east, and share it again (also possible with kubectl):',
      commands: east.isEmbedded ? [`${send} -d '${patch('false')}'`, `${send} -d '${patch(null)}'`] : [],
    },
  ];
}

function askDaemons({ west }: Mesh): Suggestion[] {
  const { pid } = west.kvstoremesh.process;
  return [
    {
      what: "What west's kvstoremesh thinks of east, and how the daemons of west are:",
      commands: [
        `curl -s ${west.statusUrl}`,
        `curl -s ${west.kvstoremesh.healthUrl}`,
        `curl -s ${west.kvstoremesh.metricsUrl} | grep remote_cluster`,
        `curl -s ${west.apiserver.metricsUrl} | grep kvstore`,
      ],
    },
    {
      what: "Kill west's kvstoremesh; it is started again, and no agent will notice:",
      commands: pid === undefined ? [] : [`kill -9 ${pid}`],
    },
  ];
}
