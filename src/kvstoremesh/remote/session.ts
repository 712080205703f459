/**
 * The mirrors of a remote while its cluster config is unchanged.
 *
 * The mirrored cluster config comes first, then the keys, each kind after its canary. Nothing is
 * written before the remote was validated.
 */

import type { PodCheckId } from '../../shared/diagnosis/pod-checks.ts';
import { asError, errorCode } from '../../shared/errors.ts';
import { checkOf } from '../../shared/etcd/errors.ts';
import { canaryPrefix, clusterConfigKey } from '../../shared/etcd/keyspace.ts';
import type { EtcdClient } from '../../shared/etcd/types.ts';
import { MAX_UNCOUNTED_CANARIES, MAX_UNCOUNTED_CANARY_BYTES, REMOTE_BACKOFF_MIN_MS } from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';
import { TaskScope } from '../../shared/process/task-scope.ts';
import { LinkedAbort } from '../../shared/time/abort.ts';
import { Backoff } from '../../shared/time/backoff.ts';
import { pauseUntilRecovered, type Recoverable } from '../../shared/time/recovery.ts';
import { type ClusterConfig, mirroredClusterConfig, shownClusterConfig } from '../cluster-config.ts';
import { PolicyChangedError } from '../errors.ts';
import type { RemoteGuard } from '../import-guard/remote-guard.ts';
import { UNUSED_IDENTITY_MS } from '../import-policy/limits.ts';
import type { RemotePolicy } from '../import-policy/remote-policy.ts';
import { sourceCanary } from '../mappings.ts';
import { BoundExceededError, type RemoteBounds, type StoppingBound, type Usage } from '../mirror/bounds.ts';
import { CanaryGate } from '../mirror/canary-gate.ts';
import { runEtcdSource } from '../mirror/etcd-source.ts';
import type { Mirror } from '../mirror/mirror.ts';
import { canaryPipeline } from '../mirror/pipeline.ts';
import { Quota } from '../mirror/quota.ts';
import { REMOTE_TIMING, type RemoteClusterContext } from './context.ts';
import { selfReferenceProblem } from './self-reference.ts';
import type { RemoteEvent } from './state.ts';

const CANARIES: Usage = { keys: MAX_UNCOUNTED_CANARIES, bytes: MAX_UNCOUNTED_CANARY_BYTES };

export interface SessionOptions {
  readonly cluster: string;
  readonly config: ClusterConfig;
  readonly client: EtcdClient;
  readonly mirrors: readonly Mirror[];
  readonly bounds: RemoteBounds;
  /** What the local etcd holds of the remote, or is about to. */
  readonly held: () => Usage;
  readonly guard: RemoteGuard | undefined;
  readonly policy: RemotePolicy | undefined;
  readonly context: RemoteClusterContext;
  readonly log: Logger;
  readonly apply: (event: RemoteEvent) => void;
  /** Called whenever every kind it has was listed. */
  readonly onListed: () => void;
  /** Ends what runs here. */
  readonly session: TaskScope;
}

/** Mirrors until the session is ended, then rejects with its reason. A remote that exceeds a bound stops as it is and is tried again. */
export async function runSession(options: SessionOptions): Promise<never> {
  const { cluster, config, context, log, guard, apply, session } = options;
  const { clock, publisher, timing = REMOTE_TIMING } = context;
  await untilAccepted(options);
  await untilPolicyIsUsable(options);
  apply({ kind: 'retrieved', config });
  if (guard !== undefined) guard.clusterId = config.id;
  await publisher.singles.put(clusterConfigKey(cluster), mirroredClusterConfig(config), session.signal);
  apply({ kind: 'mirroring' });
  log.info({ config: shownClusterConfig(config) }, 'mirroring the remote cluster');

  // A new listing coalesces changes that were too fast; a remote that is too large rarely shrinks soon.
  const { stoppedMs } = timing;
  const pauses = {
    'change-rate': new Backoff({ minMs: stoppedMs / 8, maxMs: stoppedMs }),
    keys: new Backoff({ minMs: stoppedMs, maxMs: stoppedMs }),
    bytes: new Backoff({ minMs: stoppedMs, maxMs: stoppedMs }),
  };
  let stoppedBy: StoppingBound | undefined;
  const onComplete = () => {
    if (stoppedBy === undefined) return;
    log.info({ bound: stoppedBy }, 'remote cluster within its limits; mirroring resumed');
    stoppedBy = undefined;
    apply({ kind: 'mirroring' });
  };
  for (;;) {
    const startMs = clock.monotonicMs();
    const end = await untilStopped(options, onComplete);
    if (end instanceof PolicyChangedError) {
      log.info('import policy of the remote cluster changed; reading it again');
      continue;
    }
    const { bound, message: reason } = end;
    apply({ kind: 'stopped', bound, reason });
    if (stoppedBy !== bound) log.error({ bound, reason }, 'remote cluster exceeds a limit; mirroring stopped');
    stoppedBy = bound;
    if (clock.monotonicMs() - startMs >= timing.stableMs) pauses[bound].reset();
    await pause(options, pauses[bound].nextMs());
  }
}

/** For `ms`, or until the import policy gives the remote another rule. */
async function pause({ policy, context, session }: SessionOptions, ms: number): Promise<void> {
  const over = new LinkedAbort(session.signal);
  const forget = policy?.onChange(() => over.abort());
  try {
    await context.clock.sleep(ms, over.signal);
  } catch (thrown) {
    session.signal.throwIfAborted();
    if (!over.signal.aborted) throw thrown;
  } finally {
    forget?.();
    over.abort();
  }
}

/** Nothing of the remote changes before it is known what may be imported. */
async function untilPolicyIsUsable({ context, apply, session }: SessionOptions): Promise<void> {
  const { policy } = context;
  if (policy === undefined || policy.isUsable) return;
  apply({ kind: 'absent', reason: `import policy: ${policy.problem ?? 'it was not read yet'}` });
  await policy.whenUsable(session.signal);
}

/**
 * Mirrors until the remote exceeds a bound, or its rule in the import policy changes: resolves with which. `onComplete` is called
 * when every kind it has was listed.
 */
async function untilStopped(options: SessionOptions, onComplete: () => void): Promise<BoundExceededError | PolicyChangedError> {
  const { cluster, config, client, mirrors, context, log, session, bounds, held, policy } = options;
  const { clock, serviceFormat, timing = REMOTE_TIMING } = context;
  const scope = new TaskScope(session.signal);
  const onExceeded = (reason: BoundExceededError) => scope.abort(reason);
  const quota = new Quota({ bounds, held, onExceeded });
  const canaries = mirrors.map(({ mapping }) => sourceCanary(mapping, cluster, config.cached));
  const gate = config.syncedCanaries ? new CanaryGate(canaries) : undefined;
  const onListed = () => {
    if (!mirrors.every(({ enabled, listed }) => listed || !enabled)) return;
    options.onListed();
    onComplete();
  };
  const forget = policy?.onChange((change) => {
    if (change === 'decisions') scope.abort(new PolicyChangedError());
  });
  const policyRun = policy?.begin({
    ordered: mirrors.map(({ mapping }) => mapping),
    hasRoom: mirrors.every(({ synced }) => synced) ? undefined : () => quota.hasRoom,
    unusedMs: timing.unusedIdentityMs ?? UNUSED_IDENTITY_MS,
    clock,
    signal: scope.signal,
  });
  for (const mirror of mirrors) {
    const { mapping } = mirror;
    const isImported = policy?.imports(mapping) ?? true;
    mirror.enable(mapping.enabled(config, serviceFormat) && isImported, { policy: policyRun, signal: scope.signal });
  }
  for (const mirror of mirrors) {
    if (!mirror.enabled) continue;
    scope.run((signal) => mirror.follow({ client, cached: config.cached, gate, quota, policyRun, signal, onListed }));
  }
  if (gate !== undefined) {
    const prefix = canaryPrefix(cluster);
    const canaryQuota = new Quota({ bounds, minimum: CANARIES, onExceeded });
    const sink = canaryPipeline({ gate, prefix, quota: canaryQuota, log });
    const onAnnounced = (keys: number) => sink.announced(keys);
    const onProgress = () => sink.notified();
    scope.run((signal) => runEtcdSource({ client, prefix, sink, clock, log, signal, onAnnounced, onProgress }));
  }
  const reason = await scope.ended();
  forget?.();
  if (!(reason instanceof BoundExceededError || reason instanceof PolicyChangedError)) throw reason;
  for (const mirror of mirrors) mirror.disconnected();
  return reason;
}

/** Resolves once the remote may be mirrored; reports the reason while it may not. */
async function untilAccepted(options: SessionOptions): Promise<void> {
  const { config, context, log, apply, session } = options;
  const { clock, timing = REMOTE_TIMING } = context;
  const backoff = new Backoff({ minMs: REMOTE_BACKOFF_MIN_MS, maxMs: timing.refusedMs });
  let reported: string | undefined;
  for (;;) {
    try {
      const found = await refusal(options);
      if (found === undefined) return;
      const { check, reason } = found;
      apply({ kind: 'refused', config, reason });
      if (reason !== reported) log.error({ check, reason }, 'remote cluster rejected; not mirroring it');
      reported = reason;
    } catch (thrown) {
      session.signal.throwIfAborted();
      // Either etcd may be unreachable for a while; other code detects that the remote's is for too long.
      const error = asError(thrown);
      const check = checkOf(error);
      apply({ kind: 'absent', reason: error.message, check });
      if (error.message !== reported)
        log.warn({ code: errorCode(error), check, reason: error.message }, 'cannot validate the remote cluster; retrying');
      reported = error.message;
      await pauseUntilRecovered(eitherOf(options), backoff.nextMs(), clock, session.signal);
      continue;
    }
    await clock.sleep(timing.refusedMs, session.signal);
  }
}

/** Recovers when one of the two etcds does. */
function eitherOf({ client, context }: SessionOptions): Recoverable {
  return {
    onRecovered: (listener) => {
      const forget = [client, context.local].map((each) => each.onRecovered(listener));
      return () => {
        for (const each of forget) each();
      };
    },
  };
}

interface Refusal {
  readonly check: PodCheckId;
  readonly reason: string;
}

async function refusal({ cluster, config, client, context, session }: SessionOptions): Promise<Refusal | undefined> {
  const { own, local, ids } = context;
  const problem = await selfReferenceProblem({ source: client, local, own, cluster, signal: session.signal });
  if (problem !== undefined) return { check: 'own-cluster', reason: problem };
  const reason = ids.reserve(cluster, config.id);
  return reason === undefined ? undefined : { check: 'cluster-id', reason };
}
