/** The quarantine of one remote cluster: how it begins and ends, and what happens in between. */

import type { Logger } from '../../shared/process/log.ts';
import { aborted, LinkedAbort } from '../../shared/time/abort.ts';
import type { Quarantine } from '../configuration/quarantine.ts';
import { DRAIN_GRACE_MS, drainCluster } from '../removal/drain.ts';
import type { RemoteClusterContext } from './context.ts';

export interface MirrorQuarantineOptions {
  readonly cluster: string;
  readonly context: Pick<RemoteClusterContext, 'publisher' | 'local' | 'clock' | 'drainGraceMs' | 'reader'>;
  /** The owner of the keys releases them. */
  readonly release: () => void;
  /** It begins, or its mode changes: a connection has to end. */
  readonly onBegun: () => void;
  readonly log: Logger;
}

export class MirrorQuarantine {
  readonly #options: MirrorQuarantineOptions;
  #current: Quarantine | undefined;
  /** The keys were removed, and the quarantine has not ended since then. */
  #isWithdrawn = false;
  #changed: LinkedAbort | undefined;

  constructor(options: MirrorQuarantineOptions) {
    this.#options = options;
  }

  /** Undefined where there is none. */
  get current(): Quarantine | undefined {
    return this.#current;
  }

  /** Begins, changes or ends it. */
  set(quarantine: Quarantine | undefined): void {
    const { cluster, context, log, onBegun } = this.#options;
    const before = this.#current;
    this.#current = quarantine;
    this.#changed?.abort(new Error('the quarantine changed'));
    if (quarantine !== undefined) {
      log.warn({ ...quarantine }, 'remote cluster in quarantine; no change of it is mirrored until the quarantine is released');
      context.reader?.news(cluster, {
        kind: 'quarantined',
        reason: [quarantine.mode, quarantine.reason].filter(Boolean).join(': '),
      });
      onBegun();
    } else if (before !== undefined) {
      context.reader?.news(cluster, { kind: 'released' });
      log.info({ mode: before.mode }, 'quarantine of the remote cluster released; connecting');
    }
  }

  /** Resolves when there is none, or `signal` is aborted. A withdrawal is completed in any case: agents must see it as a whole. */
  async ended(signal: AbortSignal): Promise<void> {
    while (this.#current !== undefined && !signal.aborted) {
      this.#changed = new LinkedAbort(signal);
      if (this.#current.mode === 'withdraw' && !this.#isWithdrawn) await this.#withdraw(signal);
      else await aborted(this.#changed.signal);
    }
    this.#changed?.abort(new Error('ended'));
    this.#isWithdrawn = false;
  }

  /** As the removal of the cluster: agents have time to disconnect before the keys go. */
  async #withdraw(signal: AbortSignal): Promise<void> {
    const { cluster, context, release, log } = this.#options;
    const { publisher, local, clock, drainGraceMs: graceMs = DRAIN_GRACE_MS } = context;
    try {
      await drainCluster({ cluster, singles: publisher.singles, local, graceMs, release, clock, log, signal });
      this.#isWithdrawn = true;
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }
}
