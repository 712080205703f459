/**
 * The state of a remote cluster as a value: the next state is a function of the state
 * and an event.
 *
 *   connecting ──connected──▶ waiting ──retrieved──▶ retrieved ──mirroring──▶ mirroring
 *       ▲                        └──────refused──────▶ refused
 *       └── lost, from every phase; `retrieved`, `refused` and `absent` may follow each other at any time
 *
 * `check` names what is wrong, where that is known, as the doctor does. `mirroring` and `stopped` alternate as the remote exceeds its limits and returns within them.
 */
import type { PodCheckId } from '../../shared/diagnosis/pod-checks.ts';
import type { ClusterConfig } from '../cluster-config.ts';
import type { StoppingBound } from '../mirror/bounds.ts';

export type RemotePhase =
  /** No working connection. `reason`: why the last attempt failed. */
  | { readonly kind: 'connecting'; readonly reason: string | undefined; readonly check?: PodCheckId | undefined }
  /** Connected, but without a valid cluster config. */
  | {
      readonly kind: 'waiting';
      readonly etcdClusterId: string;
      readonly reason: string | undefined;
      readonly check?: PodCheckId | undefined;
    }
  /** Its cluster config is accepted and is being copied. */
  | { readonly kind: 'retrieved'; readonly etcdClusterId: string; readonly config: ClusterConfig }
  /** It must not be mirrored: the reason and the remedy. */
  | { readonly kind: 'refused'; readonly etcdClusterId: string; readonly config: ClusterConfig; readonly reason: string }
  /** Mirrored. `reason`: what is wrong with it all the same. */
  | {
      readonly kind: 'mirroring';
      readonly etcdClusterId: string;
      readonly config: ClusterConfig;
      readonly reason: string | undefined;
      readonly check?: PodCheckId | undefined;
    }
  /** It exceeds a bound: what is mirrored stays as it is, until it was read completely again. */
  | {
      readonly kind: 'stopped';
      readonly etcdClusterId: string;
      readonly config: ClusterConfig;
      readonly bound: StoppingBound;
      readonly reason: string;
    };

export interface RemoteState {
  readonly phase: RemotePhase;
  /** Established connections that were lost, and heartbeats that did not come. */
  readonly failures: number;
  /** Wall clock, milliseconds. */
  readonly lastFailureMs: number | undefined;
  /** Its heartbeat is not written. */
  readonly isSilent: boolean;
  /** It was accepted at least once: readiness waits for its first load from then on, unless it is stopped. */
  readonly hasBegun: boolean;
}

export type RemoteEvent =
  | { readonly kind: 'connected'; readonly etcdClusterId: string }
  | { readonly kind: 'absent'; readonly reason: string; readonly check?: PodCheckId | undefined }
  | { readonly kind: 'restored' }
  | { readonly kind: 'retrieved'; readonly config: ClusterConfig }
  | { readonly kind: 'refused'; readonly config: ClusterConfig; readonly reason: string }
  | { readonly kind: 'mirroring' }
  | { readonly kind: 'stopped'; readonly bound: StoppingBound; readonly reason: string }
  | { readonly kind: 'silent'; readonly nowMs: number }
  | { readonly kind: 'beating' }
  /** The connection is over, or was never made. `counts`: it had been established and was not ended by us. */
  | {
      readonly kind: 'lost';
      readonly reason: string | undefined;
      readonly check?: PodCheckId | undefined;
      readonly counts: boolean;
      readonly nowMs: number;
    };

export const INITIAL_STATE: RemoteState = {
  phase: { kind: 'connecting', reason: undefined },
  failures: 0,
  lastFailureMs: undefined,
  isSilent: false,
  hasBegun: false,
};

/** The state after `event`. An event that does not fit the phase changes nothing. */
export function nextState(state: RemoteState, event: RemoteEvent): RemoteState {
  const { phase } = state;
  if (event.kind === 'lost') return lost(state, event);
  if (event.kind === 'connected') {
    return { ...state, phase: { kind: 'waiting', etcdClusterId: event.etcdClusterId, reason: undefined } };
  }
  if (phase.kind === 'connecting') return state;
  const { etcdClusterId } = phase;
  switch (event.kind) {
    case 'absent':
      // Mirroring continues: the remote still responds, and none of its keys were withdrawn.
      if (phase.kind === 'mirroring') return { ...state, phase: { ...phase, reason: event.reason, check: event.check } };
      if (phase.kind === 'stopped') return state;
      return { ...state, phase: { kind: 'waiting', etcdClusterId, reason: event.reason, check: event.check } };
    case 'silent':
      return { ...state, failures: state.failures + 1, lastFailureMs: event.nowMs, isSilent: true };
    case 'beating':
      return { ...state, isSilent: false };
    case 'restored':
      return phase.kind === 'mirroring' ? { ...state, phase: { ...phase, reason: undefined, check: undefined } } : state;
    case 'retrieved':
      return { ...state, phase: { kind: 'retrieved', etcdClusterId, config: event.config }, hasBegun: true };
    case 'refused':
      return { ...state, phase: { kind: 'refused', etcdClusterId, config: event.config, reason: event.reason } };
    case 'mirroring':
      if (phase.kind !== 'retrieved' && phase.kind !== 'stopped') return state;
      return {
        ...state,
        phase: { kind: 'mirroring', etcdClusterId, config: phase.config, reason: undefined },
        hasBegun: true,
      };
    case 'stopped':
      if (phase.kind !== 'mirroring' && phase.kind !== 'stopped') return state;
      return {
        ...state,
        phase: { kind: 'stopped', etcdClusterId, config: phase.config, bound: event.bound, reason: event.reason },
        hasBegun: false,
      };
  }
}

/** Whether `event` ends an attempt to mirror the remote, and with which success; undefined where it ends none. */
export function attemptResult({ phase }: RemoteState, event: RemoteEvent): boolean | undefined {
  if (event.kind === 'mirroring') return phase.kind === 'retrieved' ? true : undefined;
  if (event.kind === 'refused') return false;
  const isOver = phase.kind === 'mirroring' || phase.kind === 'stopped';
  return event.kind === 'lost' && event.reason !== undefined && !isOver ? false : undefined;
}

function lost(state: RemoteState, event: Extract<RemoteEvent, { kind: 'lost' }>): RemoteState {
  const counted = event.counts ? { failures: state.failures + 1, lastFailureMs: event.nowMs } : {};
  return { ...state, ...counted, isSilent: false, phase: { kind: 'connecting', reason: event.reason, check: event.check } };
}
