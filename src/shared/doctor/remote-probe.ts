/** What the doctor asks of a remote that responds, besides the checks of `troubleshoot`. */
import { EtcdError, PermissionDeniedError } from '../etcd/errors.ts';
import { clusterConfigKey, HEARTBEAT_KEY } from '../etcd/keyspace.ts';
import type { CheckedConfig } from '../troubleshoot/findings.ts';
import type { DoctorTools } from './tools.ts';

/** Connections to the endpoints of a remote: a load balancer with two backends leads all of them to one in an eighth of the runs. */
const EXTRA_CONNECTIONS = 4;

/** Bytes of a padded request: more than a packet of any usual MTU, and than a jumbo frame. */
const PADDED_BYTES = 12 * 1024;

/** Over a path that answered small requests before. */
const PADDED_TIMEOUT_MS = 1_000;

/** What one connection led to. */
export interface Backend {
  /** Hexadecimal. */
  readonly clusterId: string;
  /** It holds the cluster config of the remote; undefined where that may not be read. */
  readonly hasConfig: boolean | undefined;
}

export interface RemoteProbe {
  readonly backends: readonly Backend[];
  /** A request and an answer that fill packets did not pass, though small ones did. */
  readonly isStalled: boolean;
}

/** Never rejects; over when the signal is aborted, or soon after. */
export async function probeRemote(
  config: CheckedConfig,
  cluster: string,
  { connect }: DoctorTools,
  signal: AbortSignal,
): Promise<RemoteProbe> {
  const backends: Backend[] = [];
  let isStalled = false;
  const visit = async (index: number) => {
    const endpoint = config.endpoints[index % config.endpoints.length];
    if (endpoint === undefined) return;
    const client = connect({ ...config, endpoints: [endpoint] }, cluster);
    try {
      await client.get(HEARTBEAT_KEY, { signal });
      const hasConfig = await holds(() => client.get(clusterConfigKey(cluster), { signal }));
      backends.push({ clusterId: client.state.clusterId ?? '', hasConfig });
      if (index > 0) return;
      await client.maintenance.exchangePadded(PADDED_BYTES, { signal, timeoutMs: PADDED_TIMEOUT_MS }).catch((thrown: unknown) => {
        isStalled = thrown instanceof EtcdError && thrown.concernsConnection;
      });
    } catch {
      // That the remote responds is another check.
    } finally {
      client.close();
    }
  };
  await Promise.all(Array.from({ length: EXTRA_CONNECTIONS }, (_, index) => visit(index)));
  return { backends, isStalled };
}

async function holds(get: () => Promise<unknown>): Promise<boolean | undefined> {
  try {
    return (await get()) !== undefined;
  } catch (thrown) {
    if (thrown instanceof PermissionDeniedError) return undefined;
    throw thrown;
  }
}
