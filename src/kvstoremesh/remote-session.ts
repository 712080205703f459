/**
 * What is mirrored of a remote for as long as it says the same of itself.
 *
 * Our copy of what it says comes first, then its keys, each kind once its canary allows. Nothing of it is
 * written before it was found to be the cluster it should be.
 */
import { asError, errorCode } from '../shared/errors.ts';
import type { EtcdClient } from '../shared/etcd/types.ts';
import type { Logger } from '../shared/log.ts';
import { CanaryGate } from './canary-gate.ts';
import { type ClusterConfig, mirroredClusterConfig } from './cluster-config.ts';
import { runEtcdSource } from './etcd-source.ts';
import { canaryPrefix, clusterConfigKey, sourceCanary } from './mappings.ts';
import type { Mirror } from './mirror.ts';
import { ownStoreProblem } from './own-store.ts';
import { REMOTE_TIMING, type RemoteClusterContext } from './remote-context.ts';
import type { RemoteEvent } from './remote-state.ts';
import type { TaskScope } from './task-scope.ts';

export interface SessionOptions {
  readonly cluster: string;
  readonly config: ClusterConfig;
  readonly client: EtcdClient;
  readonly mirrors: readonly Mirror[];
  readonly context: RemoteClusterContext;
  readonly log: Logger;
  readonly apply: (event: RemoteEvent) => void;
  /** Runs the mirrors, from when this has resolved until it is ended. */
  readonly session: TaskScope;
}

/** Resolves when every mirror has begun. Rejects with the session's reason where it is ended before. */
export async function runSession(options: SessionOptions): Promise<void> {
  const { cluster, config, client, mirrors, context, log, apply, session } = options;
  const { clock, publisher, serviceFormat } = context;
  await untilAccepted(options);
  apply({ kind: 'retrieved', config });
  await publisher.singles.put(clusterConfigKey(cluster), mirroredClusterConfig(config), session.signal);
  apply({ kind: 'mirroring' });
  log.info({ config }, 'the remote cluster is mirrored');

  const canaries = mirrors.map(({ mapping }) => sourceCanary(mapping, cluster, config.cached));
  const gate = config.syncedCanaries ? new CanaryGate(canaries) : undefined;
  for (const mirror of mirrors) {
    const enabled = mirror.mapping.enabled(config, serviceFormat);
    mirror.enable(enabled);
    if (enabled) session.run((signal) => mirror.follow(client, config.cached, gate, signal));
  }
  if (gate === undefined) return;
  const prefix = canaryPrefix(cluster);
  session.run((signal) => runEtcdSource({ client, prefix, sink: gate, clock, log, signal }));
}

/** Resolves once the remote may be mirrored; says why as long as it may not. */
async function untilAccepted(options: SessionOptions): Promise<void> {
  const { config, context, log, apply, session } = options;
  const { clock, timing = REMOTE_TIMING } = context;
  let reported: string | undefined;
  for (;;) {
    try {
      const reason = await refusal(options);
      if (reason === undefined) return;
      apply({ kind: 'refused', config, reason });
      if (reason !== reported) log.error({ reason }, 'the remote cluster is refused and not mirrored');
      reported = reason;
    } catch (thrown) {
      session.signal.throwIfAborted();
      // Either etcd may be away for a while; that the remote's is for too long is noticed elsewhere.
      const error = asError(thrown);
      apply({ kind: 'absent', reason: error.message });
      if (error.message !== reported)
        log.warn({ code: errorCode(error), reason: error.message }, 'the remote cluster cannot be checked; trying again');
      reported = error.message;
    }
    await clock.sleep(timing.refusedMs, session.signal);
  }
}

async function refusal({ cluster, config, client, context, session }: SessionOptions): Promise<string | undefined> {
  const { own, local, ids } = context;
  const problem = await ownStoreProblem({ source: client, local, own, cluster, signal: session.signal });
  return problem ?? ids.reserve(cluster, config.id);
}
