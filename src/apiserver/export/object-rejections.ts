/**
 * Objects and parts of objects that could not be exported: counted each time, logged once until they change.
 */
import { errorCode } from '../../shared/errors.ts';
import type { Counter, Registry } from '../../shared/http/metrics.ts';
import { MAX_LOGGED_REJECTIONS } from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';
import { SCOPES, type Scope } from '../encoding/keyspace.ts';

export class ObjectRejections {
  readonly #log: Logger;
  readonly #parts: Counter<'scope'>;
  readonly #failures: Counter<'scope'>;
  /** What was logged last, by scope and id. */
  readonly #logged = new Map<string, string>();

  constructor(log: Logger, metrics: Registry) {
    this.#log = log;
    this.#parts = metrics.counter('export_rejected_values_total', 'Invalid parts of objects that were not exported', ['scope']);
    this.#failures = metrics.counter('export_failures_total', 'Objects that could not be exported', ['scope']);
    // increase() does not see the first event of a series that starts with it.
    for (const counter of [this.#parts, this.#failures]) for (const scope of SCOPES) counter.inc({ scope }, 0);
  }

  /** `parts` of the object were skipped; the rest of it is exported. Empty: no problem. */
  parts(scope: Scope, id: string, parts: readonly string[]): void {
    if (parts.length > 0) this.#parts.inc({ scope }, parts.length);
    if (this.#isNews(`${scope} ${id}`, parts.join('; '))) {
      this.#log.warn({ scope, object: id, parts: parts.slice(0, 10) }, 'skipping invalid parts of an object');
    }
  }

  /** The object could not be converted; its exported keys stay. */
  failure(scope: Scope, id: string, error: Error): void {
    this.#failures.inc({ scope });
    if (this.#isNews(`${scope} ${id}`, error.message)) {
      this.#log.error({ scope, object: id, code: errorCode(error), err: error }, 'cannot export object');
    }
  }

  #isNews(subject: string, text: string): boolean {
    if (text === '') {
      this.#logged.delete(subject);
      return false;
    }
    const isNews = this.#logged.get(subject) !== text && (this.#logged.has(subject) || this.#logged.size < MAX_LOGGED_REJECTIONS);
    if (isNews) this.#logged.set(subject, text);
    return isNews;
  }
}
