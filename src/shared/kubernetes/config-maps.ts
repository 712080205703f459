/** ConfigMaps in the Kubernetes API, written by server-side apply: keys that this program no longer names are removed. */
import type { KubeConnection } from './connection/connection.ts';
import { KUBE_REPORT_TIMEOUT_MS } from './limits.ts';

export interface ConfigMapContent {
  readonly namespace: string;
  readonly name: string;
  readonly data: Readonly<Record<string, string>>;
}

/** The owner of the keys in `metadata.managedFields`. */
const FIELD_MANAGER = 'clustermesh-apiserver';

/**
 * Makes the keys of this program equal to `data`; keys and labels of others stay. A ConfigMap that does not exist is created,
 * which needs the right to `create` besides `patch`. Throws a KubeError, or the signal's reason.
 */
export async function applyConfigMap(
  connection: KubeConnection,
  { namespace, name, data }: ConfigMapContent,
  signal: AbortSignal,
): Promise<void> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/${encodeURIComponent(name)}`;
  await connection.send({
    purpose: { verb: 'patch', what: `ConfigMap ${namespace}/${name}` },
    method: 'PATCH',
    path: `${path}?fieldManager=${FIELD_MANAGER}&force=true`,
    accept: 'application/json',
    // JSON is YAML.
    content: JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data }),
    contentType: 'application/apply-patch+yaml',
    timeoutMs: KUBE_REPORT_TIMEOUT_MS,
    signal,
  });
}
