/**
 * The base class of all errors that this program throws on purpose.
 *
 * One class per cause. `code` is stable and machine-readable (metric labels, log fields),
 * `retriable` is true if the same call may succeed later, and the message contains the
 * cause and the remedy for the operator.
 */
export abstract class ProgramError extends Error {
  abstract readonly code: string;
  abstract readonly retriable: boolean;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A thrown value as an Error: a promise may reject with any value. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** The machine-readable cause of `thrown`, `UNKNOWN` for errors of other code. */
export function errorCode(thrown: unknown): string {
  return thrown instanceof ProgramError ? thrown.code : 'UNKNOWN';
}

/** True if `thrown` only reports that the caller's own signal was aborted. */
export function isAbort(thrown: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (thrown === signal.reason || (thrown instanceof Error && thrown.name === 'AbortError'));
}
