/** The whole `clustermesh` daemon in the process of the test, so that its clock and its log can be a test's own. */
import { apiserverFlagTable } from '../../../src/apiserver/flags.ts';
import { runApiserver } from '../../../src/apiserver/run.ts';
import { parseFlags } from '../../../src/shared/flags/parse.ts';
import { Registry } from '../../../src/shared/http/metrics.ts';
import type { LeadershipTiming } from '../../../src/shared/leadership/leadership.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import type { Runtime } from '../../../src/shared/process/runtime.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { freePort } from '../network/free-port.ts';
import { within } from '../until.ts';

export const EAST = ['--cluster-name=east', '--cluster-id=7'] as const;

export interface ClustermeshRunOptions extends Partial<Omit<Runtime, 'signal'>> {
  readonly timing?: LeadershipTiming;
}

export class ClustermeshRun {
  readonly metrics: Registry;
  readonly healthPort: number;
  /** How the run ended, once it has. */
  readonly ended: Promise<void>;
  readonly #stop = new AbortController();

  private constructor(healthPort: number, argv: readonly string[], { timing, ...options }: ClustermeshRunOptions) {
    this.healthPort = healthPort;
    const flags = parseFlags(apiserverFlagTable, [`--health-port=${healthPort}`, ...argv], {});
    if (flags === 'help') throw new Error('no flags');
    const defaults = { log: silentLogger, clock: systemClock, metrics: new Registry('test_') };
    const runtime = { ...defaults, ...options, signal: this.#stop.signal };
    this.metrics = runtime.metrics;
    this.ended = runApiserver(flags.values, runtime, timing);
    this.ended.catch(() => undefined);
  }

  static async start(argv: readonly string[], options: ClustermeshRunOptions = {}): Promise<ClustermeshRun> {
    return new ClustermeshRun(await freePort(), argv, options);
  }

  /** `Ready`, `NotReady`, or empty without a response. */
  async readiness(): Promise<string> {
    try {
      return await (await fetch(`http://127.0.0.1:${this.healthPort}/readyz`)).text();
    } catch {
      return '';
    }
  }

  async stop(withinMs = 5_000): Promise<void> {
    this.#stop.abort(new Error('stopped by the test'));
    await within('the daemon to stop', this.ended, withinMs);
  }
}
