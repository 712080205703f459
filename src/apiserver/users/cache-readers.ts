/**
 * Lets the role `remote` read the mirror of `kvstoremesh`, for agents of Cilium 1.15 and 1.16.
 *
 * These agents read the mirror with the certificate that they also show to other clusters, so the original's roles permitted
 * its user to read everything. Since 1.17 agents have a certificate of their own for it, and `etcdinit` does not permit
 * other clusters to read the mirror. Charts do not tell their version, but those up to 1.17 set
 * `--enable-external-workloads`.
 */
import { errorCode } from '../../shared/errors.ts';
import { AuthNotFoundError, EtcdError } from '../../shared/etcd/errors.ts';
import { CACHE, CANARIES, CLUSTER_CONFIGS } from '../../shared/etcd/keyspace.ts';
import type { EtcdAuth } from '../../shared/etcd/operations/auth.ts';
import { prefixEnd } from '../../shared/etcd/types.ts';
import { USERS_RETRY_MAX_MS, USERS_RETRY_MIN_MS } from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';
import { Backoff } from '../../shared/time/backoff.ts';
import type { Clock } from '../../shared/time/clock.ts';

const ROLE = 'remote';

export interface CacheReadersOptions {
  readonly auth: EtcdAuth;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Resolves once the role has the permissions, or if there is no such role. Rejects only with the signal's reason. */
export async function permitCacheReaders({ auth, clock, log }: CacheReadersOptions, signal: AbortSignal): Promise<void> {
  const backoff = new Backoff({ minMs: USERS_RETRY_MIN_MS, maxMs: USERS_RETRY_MAX_MS });
  for (;;) {
    try {
      for (const key of [CACHE, CLUSTER_CONFIGS, CANARIES])
        await auth.grantPermission(ROLE, { access: 'read', key, end: prefixEnd(key) }, { signal });
      log.info(
        { role: ROLE },
        'the role may read the mirrored keys: --enable-external-workloads is set, as by charts up to 1.17',
      );
      return;
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof EtcdError)) throw thrown;
      if (thrown instanceof AuthNotFoundError) return;
      log.warn({ code: errorCode(thrown), role: ROLE }, 'cannot permit agents up to 1.16 to read the mirrored keys; retrying');
      await clock.sleep(backoff.nextMs(), signal);
    }
  }
}
