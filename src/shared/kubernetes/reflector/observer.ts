/**
 * Events of a reflector, for metrics and for the status.
 */
import type { KubeError } from '../errors.ts';
import type { ObjectId } from '../objects/types.ts';

/**
 * `missing`: the server does not have the kind, for example before its CRD is installed. `failing`: the handler
 * has the last known state, and attempts continue.
 */
export type ReflectorState = 'listing' | 'watching' | 'missing' | 'failing';

/** Why a watch could not be resumed: its version is too old or too new, its kind is gone, or it makes no progress. */
export type RelistReason = 'expired' | 'future_version' | 'missing' | 'no_progress';

export type ReflectorEvent =
  /** Called on each change. */
  | { readonly type: 'state'; readonly state: ReflectorState }
  /** A complete list was passed to the handler, which now has `objects` objects. */
  | { readonly type: 'list'; readonly mode: 'stream' | 'pages'; readonly objects: number; readonly durationMs: number }
  /** The server accepted a watch, a streaming list included. */
  | { readonly type: 'watch' }
  | { readonly type: 'relist'; readonly reason: RelistReason }
  /** A request failed; the next follows after `delayMs`. */
  | { readonly type: 'failure'; readonly error: KubeError; readonly delayMs: number }
  /** An object was skipped, as its projection threw. */
  | { readonly type: 'rejected'; readonly id: ObjectId; readonly error: Error };

export type ReflectorObserver = (event: ReflectorEvent) => void;
