/** The import policy that is in force, and the file that it is read from, followed while the daemon runs. */
import { dirname } from 'node:path';
import { errorCode, isAbort } from '../../../shared/errors.ts';
import { FileReadError, readBoundedFile } from '../../../shared/files/bounded-file.ts';
import { DirectoryEvents } from '../../../shared/files/directory-events.ts';
import type { Health } from '../../../shared/http/health.ts';
import type { Counter, Registry } from '../../../shared/http/metrics.ts';
import type { Logger } from '../../../shared/process/log.ts';
import { unlessAborted } from '../../../shared/time/abort.ts';
import type { Clock } from '../../../shared/time/clock.ts';
import { MAX_IMPORT_POLICY_BYTES, POLICY_POLL_MS } from '../limits.ts';
import { type CompiledRule, type ImportPolicy, ruleFor } from './policy.ts';
import { ImportPolicyError, parseImportPolicy } from './policy-file.ts';

/** Rules for all remotes. Nothing may be imported before it is usable. */
export class CurrentPolicy {
  #policy: ImportPolicy = [];
  #problem: string | undefined;
  #absence: string | undefined;
  readonly #usable = Promise.withResolvers<void>();
  #isUsable = false;
  readonly #listeners = new Set<() => void>();

  /** A file was read, or there is none. */
  get isUsable(): boolean {
    return this.#isUsable;
  }

  /** Why the file cannot be used at the moment; the policy before stays in force. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Why there is no policy although there should be one; everything is imported then. */
  get absence(): string | undefined {
    return this.#absence;
  }

  /** Those in force. */
  get rules(): ImportPolicy {
    return this.#policy;
  }

  /** Resolves when it is usable; rejects when `signal` is aborted first. */
  whenUsable(signal: AbortSignal): Promise<void> {
    return unlessAborted(this.#usable.promise, signal);
  }

  ruleFor(cluster: string): CompiledRule | undefined {
    return ruleFor(this.#policy, cluster);
  }

  /** Calls `listener` after each change until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** `absence`: why there are no rules. */
  set(policy: ImportPolicy, absence?: string): void {
    this.#policy = policy;
    this.#absence = absence;
    this.#problem = undefined;
    this.#isUsable = true;
    for (const listener of [...this.#listeners]) listener();
    this.#usable.resolve();
  }

  failed(problem: string): void {
    this.#problem = problem;
  }
}

export interface PolicyFileOptions {
  /** It need not be there. */
  readonly path: string;
  readonly policy: CurrentPolicy;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
  readonly health: Pick<Health, 'addCheck'>;
}

/** No event for so long ends a burst. */
const QUIET_MS = 100;

/** Runs until the signal is aborted, then resolves. */
export async function followPolicyFile(options: PolicyFileOptions, signal: AbortSignal): Promise<void> {
  const events = new DirectoryEvents(dirname(options.path), options.clock);
  const file = new PolicyFile(options);
  const removeCheck = options.health.addCheck('import policy', () => options.policy.problem);
  try {
    while (!signal.aborted) {
      events.arm();
      await file.read();
      await events.burst(POLICY_POLL_MS, QUIET_MS, signal);
    }
  } catch (thrown) {
    if (!isAbort(thrown, signal)) throw thrown;
  } finally {
    events.disarm();
    removeCheck();
  }
}

/**
 * A file without content counts as missing. Missing at the start, everything is imported until it is there. Once a policy was
 * read, a file that goes is an accident, such as a volume that is not mounted: the policy stays.
 */
class PolicyFile {
  readonly #options: PolicyFileOptions;
  readonly #failures: Counter;
  #text: string | undefined;
  #wasRead = false;
  #told: string | undefined;

  constructor(options: PolicyFileOptions) {
    this.#options = options;
    this.#failures = options.metrics.counter(
      'import_policy_failures_total',
      'Times that the import policy file could not be used',
    );
    this.#failures.inc(0);
  }

  async read(): Promise<void> {
    const { path, policy, log } = this.#options;
    try {
      const text = (await readBoundedFile(path, MAX_IMPORT_POLICY_BYTES)).toString('utf8');
      if (text === this.#text) return;
      const rules = parseImportPolicy(text, path);
      if (rules === undefined) {
        this.#missing(`${path}: is empty; to import everything, write "clusters: []"`);
        return;
      }
      this.#text = text;
      this.#wasRead = true;
      this.#told = undefined;
      log.info({ path, rules: rules.length }, 'import policy loaded');
      policy.set(rules);
    } catch (thrown) {
      if (thrown instanceof FileReadError && thrown.errno === 'ENOENT') this.#missing(`${path}: does not exist`);
      else if (thrown instanceof FileReadError || thrown instanceof ImportPolicyError)
        this.#failed(thrown.message, errorCode(thrown));
      else throw thrown;
    }
  }

  #missing(reason: string): void {
    const { policy, log } = this.#options;
    if (this.#wasRead) {
      this.#failed(reason, 'IMPORT_POLICY_MISSING');
      return;
    }
    if (this.#told !== reason) log.warn({ reason }, 'no import policy; everything is imported until there is one');
    this.#told = reason;
    if (!policy.isUsable || policy.problem !== undefined || policy.absence !== reason) policy.set([], reason);
  }

  #failed(reason: string, code: string): void {
    const { policy, log } = this.#options;
    const kept = policy.isUsable ? 'the policy before stays in force' : 'nothing is imported or removed until it is valid';
    this.#text = undefined;
    if (this.#told !== reason) {
      this.#failures.inc();
      log.error({ code, reason }, `cannot use the import policy; ${kept}`);
    }
    this.#told = reason;
    policy.failed(`${reason}; ${kept}`);
  }
}
