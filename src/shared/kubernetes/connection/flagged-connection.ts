/** The connection to Kubernetes that the flags of a command describe. */

import type { Logger } from '../../process/log.ts';
import { type Clock, MAX_TIMER_MS } from '../../time/clock.ts';
import { VERSION } from '../../version.ts';
import { type KubeConnection, openConnection } from './connection.ts';

/** The values of the flags that every command which talks to Kubernetes has; durations in milliseconds. */
export interface ConnectionFlags {
  readonly k8sKubeconfigPath: string;
  readonly k8sApiServer: string;
  readonly k8sApiServerUrls: readonly string[];
  readonly k8sClientConnectionTimeoutMs: number;
  readonly k8sClientConnectionKeepAliveMs: number;
  readonly k8sClientQps: number;
  readonly k8sClientBurst: number;
  readonly strictServerNames?: boolean;
}

/** See `openConnection`. */
export function openFlaggedConnection(
  flags: ConnectionFlags,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<KubeConnection> {
  return openConnection({
    kubeconfigPath: flags.k8sKubeconfigPath,
    serverUrls: serverUrls(flags),
    userAgent: `clustermesh-apiserver/${VERSION.version}`,
    connectTimeoutMs: Math.min(flags.k8sClientConnectionTimeoutMs, MAX_TIMER_MS),
    keepAliveMs: keepAliveMs(flags.k8sClientConnectionKeepAliveMs),
    rate: { perSecond: flags.k8sClientQps, burst: flags.k8sClientBurst },
    strictServerNames: flags.strictServerNames ?? false,
    clock,
    log,
  });
}

function serverUrls({ k8sApiServer, k8sApiServerUrls }: ConnectionFlags): readonly string[] {
  return k8sApiServerUrls.length === 0 && k8sApiServer !== '' ? [k8sApiServer] : k8sApiServerUrls;
}

/** The interval that Go's dialer uses for 0, and the longest one of Linux: 2^15-1 seconds. */
const DEFAULT_KEEP_ALIVE_MS = 15_000;
const MAX_KEEP_ALIVE_MS = 32_767_000;

/** As Go's dialer reads it: 0 is its default, a negative time is for no probes, or as good as none. */
function keepAliveMs(flag: number): number {
  if (flag === 0) return DEFAULT_KEEP_ALIVE_MS;
  return flag < 0 ? MAX_KEEP_ALIVE_MS : Math.min(Math.max(flag, 1000), MAX_KEEP_ALIVE_MS);
}
