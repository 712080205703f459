/** Faults of a mesh, each with what `doctor` must say about it. `NS` is the namespace of Cilium. */
import type { Planting } from '../doctor-fixture.ts';

export interface Fault {
  readonly title: string;
  plant(planting: Planting): Promise<void>;
  /** Lines `VERDICT CHECK: SUBJECT`, all of them. */
  readonly lines: readonly string[];
  /** Of the first line. */
  readonly evidence: RegExp;
  readonly remedy: RegExp;
  /** What it changes; faults of three at once must change different things. */
  readonly touches: readonly string[];
}

export const NAME = 'clustermesh-apiserver';

export const entry = (...lines: readonly string[]) => lines.join('\n');
const FILES = ['trusted-ca-file', 'key-file', 'cert-file'];
const EXTENSIONS = ['-ca.crt', '.key', '.crt'];
export const files = (name: string) => FILES.map((key, i) => `${key}: /var/lib/cilium/clustermesh/${name}${EXTENSIONS[i]}`);
export const remoteEntry = (cluster: string, port: number, ...ips: readonly string[]) =>
  entry(
    'endpoints:',
    `  - https://${cluster}.mesh.cilium.io:${port}`,
    ...files('common-etcd-client'),
    'cilium-host-aliases:',
    `  - hostname: ${cluster}.mesh.cilium.io`,
    '    ips:',
    ...ips.map((ip) => `    - ${ip}`),
  );
export const localEntry = (namespace: string) =>
  entry('endpoints:', `  - https://clustermesh-apiserver.${namespace}.svc:2379`, ...files('local-etcd-client'));

export const apps = ({ mesh }: Planting, plural: string, name: string) =>
  `/apis/apps/v1/namespaces/${mesh.namespace}/${plural}/${name}`;
export const core = ({ mesh }: Planting, plural: string, name = '') => mesh.path(plural, name);

/** A container of a workload with an image of Cilium. */
export function image(name: string, version: string) {
  return { spec: { template: { spec: { containers: [{ name, image: `quay.io/cilium/${name}:v${version}` }] } } } };
}

export function nodeAddress(ip: string) {
  return { spec: { addresses: [{ type: 'InternalIP', ip }] } };
}
