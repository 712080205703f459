/**
 * What a daemon sees of itself: lines of `/healthz`, series and log lines, with the IDs of the doctor.
 *
 * The status of the member of the local etcd is read every few seconds, one small call each. Everything else is known already.
 */
import { generalProblem, type Problem, remedyWithCommand } from '../diagnosis/pod-checks.ts';
import { ProblemLog, type SubjectProblem } from '../diagnosis/problem-log.ts';
import type { EtcdAdminClient } from '../etcd/client.ts';
import { expiringCertificates } from '../etcd/health.ts';
import type { Health, Notice } from '../http/health.ts';
import { SELF_CHECK_MS } from '../limits.ts';
import type { Logger } from '../process/log.ts';
import type { Clock } from '../time/clock.ts';
import { alarmProblem, memberProblems } from './local-checks.ts';

export interface SelfCheckOptions {
  readonly health: Health;
  /** When the first certificate of each TLS file in use ends, in milliseconds since 1970. */
  readonly certificates: () => Iterable<readonly [file: string, expiryMs: number]>;
  /** Of remotes; absent where there are none. */
  readonly remotes?: () => readonly RemoteProblem[];
  readonly clock: Clock;
  readonly log: Logger;
}

export interface RemoteProblem extends SubjectProblem {
  /** Other log lines name its beginning and its end. */
  readonly isLogged: boolean;
}

const LOCAL = 'local etcd';

export class SelfCheck {
  readonly #options: SelfCheckOptions;
  readonly #log: ProblemLog;
  #member: readonly Problem[] = [];

  /** Adds notices to `health`. */
  constructor(options: SelfCheckOptions) {
    this.#options = options;
    this.#log = new ProblemLog(options.log);
    options.health.addNotices(() => [
      ...this.#ofEtcd().map((each) => noticeOf(each, false)),
      ...this.#ofRemotes().map((each) => noticeOf(each, true)),
    ]);
  }

  /** Until the signal is aborted; then resolves. */
  async run(client: EtcdAdminClient, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#readMember(client, signal);
      if (signal.aborted) return;
      const unlogged = this.#ofRemotes().filter(({ isLogged }) => !isLogged);
      this.#log.update([...this.#ofEtcd(), ...this.#ofCertificates(), ...unlogged]);
      await this.#options.clock.sleep(SELF_CHECK_MS, signal).catch(() => undefined);
    }
  }

  /** An etcd that does not answer keeps what was found: that it cannot be reached is another check. */
  async #readMember({ maintenance }: EtcdAdminClient, signal: AbortSignal): Promise<void> {
    try {
      const options = { signal, timeoutMs: SELF_CHECK_MS };
      const status = await maintenance.status(options);
      const alarms = await maintenance.alarms(options);
      this.#member = [...alarms.flatMap(alarmProblem), ...memberProblems(status, status.dbSizeQuota)];
    } catch {
      // See above.
    }
  }

  #ofEtcd(): readonly SubjectProblem[] {
    return this.#member.map((each) => ({ ...each, subject: LOCAL, remedy: remedyWithCommand(each, undefined) }));
  }

  /** Those have a check of their own in `/healthz`. */
  #ofCertificates(): readonly SubjectProblem[] {
    const { certificates, clock } = this.#options;
    return expiringCertificates(certificates(), clock.nowMs()).map(({ file, isOver, at }) => {
      const found = isOver
        ? generalProblem('certificate-expired', `has ended at ${at}`)
        : generalProblem('certificate-expires', `ends at ${at}`, 'warning');
      return { ...found, subject: file, remedy: remedyWithCommand(found, undefined) };
    });
  }

  #ofRemotes(): readonly RemoteProblem[] {
    return this.#options.remotes?.() ?? [];
  }
}

function noticeOf({ check, subject, evidence, remedy }: SubjectProblem, isOfRemote: boolean): Notice {
  return { check, text: `${subject}: ${evidence}; ${remedy}`, isOfRemote };
}
