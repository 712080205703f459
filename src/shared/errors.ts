/**
 * The root of every error this program raises on purpose.
 *
 * One class per cause. `code` is stable and meant for machines (metrics labels, log fields),
 * `retriable` tells a caller whether the same call may succeed later, and the message names the
 * culprit and the remedy, because it is what an operator reads.
 */
export abstract class ProgramError extends Error {
  abstract readonly code: string;
  abstract readonly retriable: boolean;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Whatever was thrown, as an Error: a rejected promise may carry anything. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** The machine-readable cause of `thrown`, `UNKNOWN` where it is not one of ours. */
export function errorCode(thrown: unknown): string {
  return thrown instanceof ProgramError ? thrown.code : 'UNKNOWN';
}

/** True where `thrown` only says that the caller's own signal was aborted. */
export function isAbort(thrown: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (thrown === signal.reason || (thrown instanceof Error && thrown.name === 'AbortError'));
}
