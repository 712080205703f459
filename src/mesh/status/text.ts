/** The report of `status` in the layout of `cilium clustermesh status`. */
import { hostPort } from '../../shared/etcd/endpoint-address.ts';
import type { Connectivity } from './connectivity.ts';
import type { StatusReport } from './read.ts';

export interface StatusLayout {
  readonly namespace: string;
  /** Also every certificate, and each Pod whose connections are not known. */
  readonly wide: boolean;
}

export function statusText(report: StatusReport, { namespace, wide }: StatusLayout): string {
  const { connectivity, kvstoremesh } = report;
  const errors = [
    ...errorLines(connectivity, namespace, 'cilium-agent', 'cilium-dbg troubleshoot clustermesh'),
    ...errorLines(kvstoremesh.status, namespace, 'kvstoremesh', 'clustermesh-apiserver kvstoremesh-dbg troubleshoot'),
  ];
  const count = connectivity.not_ready + kvstoremesh.status.not_ready;
  const blocks = [
    [
      ...accessLines(report),
      deploymentLine(report),
      meshLine(kvstoremesh.enabled),
      ...certificateLines(report, wide),
      ...versionLines(report),
    ],
    [
      ...readyLines(connectivity, 'nodes', 'prometheus.enabled of Cilium'),
      ...(kvstoremesh.enabled ? readyLines(kvstoremesh.status, 'KVStoreMesh replicas', 'metrics of kvstoremesh') : []),
      ...drainLines(kvstoremesh.status),
      ...kvstoremesh.status.leaders.map((pod) => `ℹ️  KVStoreMesh leader: ${pod}`),
    ],
    connectionLines(report),
    errors.length === 0 ? [] : [`❌ ${count} Errors:`, ...errors],
    wide ? [...unknownLines(connectivity), ...unknownLines(kvstoremesh.status)] : [],
  ];
  return `${blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

function accessLines({ access_information: access }: StatusReport): readonly string[] {
  const { service_type: type, service_ips: ips, service_port: port, problem } = access;
  if (type === '') return ['❌ Service "clustermesh-apiserver" not found'];
  return [
    ...(type === 'NodePort'
      ? ['⚠️  Service type NodePort detected! Service may fail when nodes are removed from the cluster!']
      : []),
    `✅ Service "clustermesh-apiserver" of type "${type}" found`,
    ...(problem === ''
      ? ['✅ Cluster access information is available:', ...ips.map((host) => `  - ${hostPort(host, port)}`)]
      : [`❌ Cluster access information is not available: ${problem}`]),
  ];
}

function deploymentLine({ deployment: { kind, ready, wanted } }: StatusReport): string {
  if (wanted > 0 && ready >= wanted) return `✅ ${kind} clustermesh-apiserver is ready`;
  return `❌ ${kind} clustermesh-apiserver is not ready: ${ready} of ${wanted} Pods`;
}

function meshLine(isEnabled: boolean): string {
  return `ℹ️  KVStoreMesh is ${isEnabled ? 'enabled' : 'disabled'}`;
}

function certificateLines({ certificates }: StatusReport, wide: boolean): readonly string[] {
  const urgent = certificates.filter(({ state }) => state !== 'valid');
  const [first] = certificates;
  if (first === undefined) return ['⚠️  No certificates found'];
  const all = wide ? certificates.map(({ secret, not_after: end }) => `  - ${secret}: until ${end}`) : [];
  if (urgent.length === 0) return [`✅ Certificates are valid until ${first.not_after}`, ...all];
  const named = urgent.map(({ secret, not_after: end, state }) =>
    state === 'expired'
      ? `❌ Certificate of Secret ${secret} expired ${end}`
      : `⚠️  Certificate of Secret ${secret} expires ${end}`,
  );
  return [...named, ...all];
}

function versionLines({ versions }: StatusReport): readonly string[] {
  const known = Object.entries(versions).filter(([, tags]) => tags.length > 0);
  return known.length === 0 ? [] : [`ℹ️  Versions: ${known.map(([what, tags]) => `${what} ${tags.join(', ')}`).join('; ')}`];
}

function readyLines(connectivity: Connectivity, what: string, setting: string): readonly string[] {
  const { total, not_ready: failing, connected, unknown } = connectivity;
  const { min, avg, max } = connected;
  const range = `[min:${min} / avg:${avg.toFixed(1)} / max:${max}]`;
  const hidden = unknown.filter(({ cause }) => cause === 'no-port').length;
  return [
    ...(total === 0
      ? []
      : [
          failing === 0
            ? `✅ All ${total} ${what} are connected to all clusters ${range}`
            : `⚠️  ${failing}/${total} ${what} are not connected to all clusters ${range}`,
        ]),
    ...(hidden === 0 ? [] : [`ℹ️  Connections of ${hidden} ${what} are not known: enable ${setting}`]),
  ];
}

function drainLines({ draining }: Connectivity): readonly string[] {
  return draining === 0 ? [] : [`ℹ️  Keys of ${draining} removed clusters are about to be removed`];
}

/** Those that the errors do not name. */
function unknownLines({ unknown }: Connectivity): readonly string[] {
  return unknown.filter(({ cause }) => cause === 'no-port').map(({ pod, text }) => `ℹ️  ${pod}: connections not known: ${text}`);
}

function connectionLines({ connectivity, kvstoremesh }: StatusReport): readonly string[] {
  const mesh = kvstoremesh.status;
  const names = [...new Set([...Object.keys(connectivity.clusters), ...Object.keys(mesh.clusters)])].sort();
  if (names.length === 0) return ['🔌 No cluster connected'];
  const part = ({ clusters, total }: Connectivity, name: string) => {
    if (total === 0) return 'unknown';
    const { configured = 0, connected = 0 } = clusters[name] ?? {};
    return `${configured}/${total} configured, ${connected}/${total} connected`;
  };
  return [
    '🔌 Cluster Connections:',
    ...names.map((name) => {
      const age = mesh.staleness_seconds[name];
      const mirrored = kvstoremesh.enabled ? ` - KVStoreMesh: ${part(mesh, name)}` : '';
      const policy = mesh.import_policy[name];
      const parts = [
        ...(age === undefined ? [] : [`at most ${age.toFixed(1)} s old`]),
        ...(policy === undefined ? [] : [policy]),
      ];
      return [`  - ${name}: ${part(connectivity, name)}${mirrored}`, ...parts].join(', ');
    }),
  ];
}

function errorLines({ errors, unknown }: Connectivity, namespace: string, container: string, command: string): readonly string[] {
  return [
    ...errors.flatMap(({ pod, cluster, reason }) => [
      `  ❌ ${pod} is not connected to cluster ${cluster}: ${reason}`,
      `     💡 Run 'kubectl exec -it -n ${namespace} ${pod} -c ${container} -- ${command} ${cluster}' to investigate the cause`,
    ]),
    ...unknown.filter(({ cause }) => cause === 'failed').map(({ pod, text }) => `  ❌ ${pod}: status unknown: ${text}`),
  ];
}
