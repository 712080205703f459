/**
 * What happened to a remote cluster, in the order in which it happened, for people who look at it.
 *
 * Most of it follows from the events of state.ts. An event that repeats the present state is no news: a refused remote, for
 * example, is evaluated every few seconds.
 */
import type { RemoteEvent, RemoteState } from './state.ts';

export type NewsKind =
  | 'added'
  | 'connected'
  | 'disconnected'
  | 'unreachable'
  | 'waiting'
  | 'restored'
  | 'refused'
  | 'mirroring'
  | 'listed'
  | 'stopped'
  | 'resumed'
  | 'silent'
  | 'beating'
  | 'reconfigured'
  | 'unreadable'
  | 'readable'
  | 'withdrawn'
  | 'held'
  | 'quarantined'
  | 'released'
  | 'removed'
  | 'returned';

export interface RemoteNews {
  readonly kind: NewsKind;
  /** The reason, and the remedy where there is one; may quote the remote. */
  readonly reason?: string | undefined;
}

/** Receives what happens to remote clusters. */
export interface NewsReader {
  news(cluster: string, news: RemoteNews): void;
  /** The cluster and its keys are gone, or this term is over. Idempotent. */
  gone(cluster: string): void;
}

/** The news in `event`, which occurs in `state`; undefined if there is none. */
export function newsOf(state: RemoteState, event: RemoteEvent): RemoteNews | undefined {
  const { phase, isSilent } = state;
  switch (event.kind) {
    case 'connected':
      return phase.kind === 'connecting' ? { kind: 'connected' } : undefined;
    case 'absent':
      return isRepeated(state, event.reason) ? undefined : { kind: 'waiting', reason: event.reason };
    case 'refused':
      return isRepeated(state, event.reason) ? undefined : { kind: 'refused', reason: event.reason };
    case 'mirroring':
      return { kind: phase.kind === 'stopped' ? 'resumed' : 'mirroring' };
    case 'stopped':
      return { kind: 'stopped', reason: event.reason };
    case 'restored':
      return { kind: 'restored' };
    case 'silent':
      return isSilent ? undefined : { kind: 'silent' };
    case 'beating':
      return isSilent ? { kind: 'beating' } : undefined;
    case 'retrieved':
      return undefined;
    case 'lost':
      // Without a reason it was ended by this program, which reports why.
      if (event.reason === undefined) return undefined;
      return { kind: event.counts ? 'disconnected' : 'unreachable', reason: event.reason };
  }
}

function isRepeated({ phase }: RemoteState, reason: string): boolean {
  return phase.kind !== 'retrieved' && phase.reason === reason;
}
