/** The connection to Kubernetes that the flags of a command describe. */
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { VERSION } from '../version.ts';
import { type KubeConnection, openConnection } from './connection.ts';

/** The values of the flags that every command which talks to Kubernetes has; durations in milliseconds. */
export interface ConnectionFlags {
  readonly k8sKubeconfigPath: string;
  readonly k8sApiServerUrls: readonly string[];
  readonly k8sClientConnectionTimeoutMs: number;
  readonly k8sClientConnectionKeepAliveMs: number;
  readonly k8sClientQps: number;
  readonly k8sClientBurst: number;
}

/** See `openConnection`. */
export function openFlaggedConnection(
  flags: ConnectionFlags,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<KubeConnection> {
  return openConnection({
    kubeconfigPath: flags.k8sKubeconfigPath,
    serverUrls: flags.k8sApiServerUrls,
    userAgent: `clustermesh-apiserver/${VERSION.version}`,
    connectTimeoutMs: flags.k8sClientConnectionTimeoutMs,
    keepAliveMs: flags.k8sClientConnectionKeepAliveMs,
    rate: { perSecond: flags.k8sClientQps, burst: flags.k8sClientBurst },
    clock,
    log,
  });
}
