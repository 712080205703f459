/**
 * What a reflector tells about itself, for metrics and for the status.
 */
import type { KubeError } from '../errors.ts';
import type { ObjectId } from '../objects/types.ts';

/**
 * `missing`: the server does not know the kind, as before its CRD is installed. `failing`: the handler
 * holds the last state known, and attempts go on.
 */
export type ReflectorState = 'listing' | 'watching' | 'missing' | 'failing';

/** Why a watch could not be resumed: its version is too old, not yet reached, of a kind that is gone, or leads nowhere. */
export type RelistReason = 'expired' | 'future_version' | 'missing' | 'no_progress';

export type ReflectorEvent =
  /** Told on each change. */
  | { readonly type: 'state'; readonly state: ReflectorState }
  /** A complete list was told to the handler. `objects` are those it holds now. */
  | { readonly type: 'list'; readonly mode: 'stream' | 'pages'; readonly objects: number; readonly durationMs: number }
  /** The server accepted a watch, a streaming list included. */
  | { readonly type: 'watch' }
  | { readonly type: 'relist'; readonly reason: RelistReason }
  /** A request failed; the next follows after `delayMs`. */
  | { readonly type: 'failure'; readonly error: KubeError; readonly delayMs: number }
  /** An object was skipped, as its projection threw. */
  | { readonly type: 'rejected'; readonly id: ObjectId; readonly error: Error };

export type ReflectorObserver = (event: ReflectorEvent) => void;
