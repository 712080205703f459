/** AbortSignals that depend on each other. Each function counts a signal that is aborted already as one that is aborted now. */
import type { Clock } from './clock.ts';

/** Calls `listener` once, when `signal` is aborted. Returns a function that prevents it. */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener();
    return () => undefined;
  }
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

/** The reason of an abort without another one. A controller makes its own for each abort, with a stack, which costs more than the abort. */
export const ENDED = new DOMException('This operation was aborted', 'AbortError');

/** A controller that its parent aborts too, with the parent's reason. */
export class LinkedAbort {
  readonly #controller = new AbortController();
  readonly #unlink: () => void;

  constructor(parent: AbortSignal) {
    this.#unlink = onAbort(parent, () => this.#controller.abort(parent.reason));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborts the signal with `reason`; the parent is not listened to any more. Idempotent: the first reason counts. */
  abort(reason: unknown = ENDED): void {
    this.#unlink();
    this.#controller.abort(reason);
  }
}

/** Resolves when `signal` is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => onAbort(signal, resolve));
}

/** Settles as `work` does; rejects with the signal's reason where that is aborted first. `work` goes on then. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const stopped = Promise.withResolvers<never>();
  const unlink = onAbort(signal, () => stopped.reject(signal.reason as Error));
  try {
    return await Promise.race([work, stopped.promise]);
  } finally {
    unlink();
  }
}

/** Runs `work` with a signal that is aborted with `signal`, or with `late()` after `ms`. Settles as `work` does. */
export async function withDeadline<T>(
  work: (signal: AbortSignal) => Promise<T>,
  {
    ms,
    late,
    clock,
    signal,
  }: { readonly ms: number; readonly late: () => Error; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<T> {
  const limit = new LinkedAbort(signal);
  const timer = new AbortController();
  clock.sleep(ms, timer.signal).then(
    () => limit.abort(late()),
    () => undefined,
  );
  try {
    return await work(limit.signal);
  } finally {
    timer.abort(ENDED);
    limit.abort();
  }
}
