/**
 * Ends transactions that a former leader of etcd has lost.
 *
 * The member that received a transaction forwards it to the leader of etcd. Where that one dies, the member answers after
 * etcd's own timeout of 5 s and two election timeouts, although another leader has been elected long before. Once a
 * transaction has waited for a second, the term of the leader is read: if it is another one than before, the transactions that were sent
 * before the reading fail, with an unknown outcome.
 */
import type { EtcdClient, EtcdKey } from '../etcd/types.ts';
import { LinkedAbort } from '../time/abort.ts';
import type { Clock } from '../time/clock.ts';
import { LeaderChangedError } from './errors.ts';

/** The time for an answer after which the leader's term is read, and between two readings. */
const LOST_TRANSACTION_MS = 1_000;

/** Until the next reading after one that failed, as during an election. */
const LOST_TRANSACTION_RETRY_MS = 250;

export interface LostTransactionsOptions {
  readonly client: EtcdClient;
  /** One that may be read. */
  readonly key: EtcdKey;
  readonly clock: Clock;
  /** Ends the readings. */
  readonly signal: AbortSignal;
}

interface Running {
  readonly sinceMs: number;
  readonly stop: LinkedAbort;
}

export class LostTransactions {
  readonly #options: LostTransactionsOptions;
  readonly #running = new Set<Running>();
  /** Of the leader of etcd, when it was read last. */
  #term: bigint | undefined;
  #isWatching = false;

  constructor(options: LostTransactionsOptions) {
    this.#options = options;
  }

  /** Calls `send` at once and settles as it does; rejects with LeaderChangedError, and aborts its signal, where the transaction is lost. */
  async run<T>(send: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const running = { sinceMs: this.#options.clock.monotonicMs(), stop: new LinkedAbort(signal) };
    this.#running.add(running);
    try {
      const sent = send(running.stop.signal);
      if (!this.#isWatching) void this.#watch();
      return await sent;
    } finally {
      this.#running.delete(running);
      running.stop.abort();
    }
  }

  /** While transactions are under way. Never rejects. */
  async #watch(): Promise<void> {
    const { clock, signal } = this.#options;
    this.#isWatching = true;
    try {
      if (this.#term === undefined) await this.#read();
      while (this.#running.size > 0) {
        await clock.sleep(LOST_TRANSACTION_MS, signal);
        while (this.#isLate && !(await this.#read())) await clock.sleep(LOST_TRANSACTION_RETRY_MS, signal);
      }
    } catch {
      // The signal was aborted, and the transactions end with it.
    } finally {
      this.#isWatching = false;
    }
  }

  get #isLate(): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    for (const { sinceMs } of this.#running) if (nowMs - sinceMs >= LOST_TRANSACTION_MS) return true;
    return false;
  }

  /** False where etcd did not answer. Rejects with the signal's reason. */
  async #read(): Promise<boolean> {
    const { client, key, clock, signal } = this.#options;
    const before = this.#term;
    const askedMs = clock.monotonicMs();
    try {
      this.#term = await client.leaderTerm(key, { signal });
    } catch {
      signal.throwIfAborted();
      return false;
    }
    if (before === undefined || this.#term <= before) return true;
    for (const { sinceMs, stop } of this.#running) if (sinceMs <= askedMs) stop.abort(new LeaderChangedError());
    return true;
  }
}
