/** One log line when a problem begins and one when it ends, for problems that nothing else logs. */
import type { Problem } from './pod-checks.ts';

/** What the log of the program is needed for. */
interface Log {
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
}

/** A problem and the object that it is about. */
export interface SubjectProblem extends Problem {
  readonly subject: string;
}

export class ProblemLog {
  readonly #log: Log;
  #current: ReadonlyMap<string, SubjectProblem> = new Map();

  constructor(log: Log) {
    this.#log = log;
  }

  /** All problems that there are now. A problem whose evidence changes is the same one. */
  update(problems: readonly SubjectProblem[]): void {
    const next = new Map(problems.map((each) => [`${each.check} ${each.subject}`, each]));
    for (const [key, { check, subject, evidence, remedy }] of next)
      if (!this.#current.has(key)) this.#log.warn({ check, subject, evidence, remedy }, 'problem found');
    for (const [key, { check, subject }] of this.#current)
      if (!next.has(key)) this.#log.info({ check, subject }, 'problem solved');
    this.#current = next;
  }
}
