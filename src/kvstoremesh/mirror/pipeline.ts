/**
 * The mirror of a prefix: the stages that a key passes from a remote's etcd to the local one.
 *
 *   runEtcdSource (etcd-source.ts) lists and watches the prefix
 *     → admit    (admit.ts)    sizes, rate, and the number of keys that a listing announces
 *     → rekey    (rekey.ts)    the key below the prefix that it is mirrored to
 *     → policy   (../import-policy/policy-stage.ts) what the import policy keeps out, with --import-policy only
 *     → guard    (../import-guard/remote-guard.ts) identities, names and addresses of other clusters
 *     → measure  (measure.ts)  seconds until the local etcd confirms a change
 *     → trace    (trace.ts)    around all stages, with --trace-endpoint only
 *     → store    (store.ts)    the quota of the remote, then the section
 *   Section (../../shared/publisher/published-section.ts) and, in ../../shared/publisher/writer/, key-group.ts, batches.ts and
 *   scheduler.ts write it to the local etcd
 *
 * A stage knows its successor only. Two things are shared: the quota, which stops all stages of a remote at once, and the
 * section, which knows the live keys.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { Section } from '../../shared/publisher/types.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { ReadIdentities } from '../import-guard/read-identities.ts';
import type { RemoteGuard } from '../import-guard/remote-guard.ts';
import type { PolicyRun } from '../import-policy/remote-policy.ts';
import type { Mapping } from '../mappings.ts';
import type { Stage } from '../stage.ts';
import { AdmitStage } from './admit.ts';
import { type CanaryGate, CanaryStage } from './canary-gate.ts';
import { MeasureStage } from './measure.ts';
import type { Quota } from './quota.ts';
import { RefusedKeys } from './refused-keys.ts';
import { RekeyStage } from './rekey.ts';
import { StoreStage } from './store.ts';
import { type KeyTraces, TracedAdmitStage, TracedStage } from './trace.ts';

export interface PipelineOptions {
  readonly mapping: Mapping;
  /** The prefix in the remote's etcd. */
  readonly from: EtcdKey;
  readonly section: Stage & Pick<Section, 'options' | 'stats' | 'liveBytes' | 'flushed' | 'compare'>;
  readonly quota: Quota;
  readonly refused: RefusedKeys;
  /** Undefined where nothing is guarded. */
  readonly guard: RemoteGuard | undefined;
  /** Undefined where everything is imported. */
  readonly policy?: PolicyRun | undefined;
  /** The prefix has to be listed again over this connection. */
  readonly relist?: () => void;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onListed: () => void;
  readonly onPropagated: (seconds: number) => void;
  /** Undefined where nothing is traced. */
  readonly traces?: KeyTraces | undefined;
}

/** The first stage of the mirror of one kind of keys over one connection: a listing begins. */
export function mirrorPipeline(options: PipelineOptions): AdmitStage {
  const { mapping, from, section, quota, refused, guard, clock, signal, onListed, onPropagated, traces } = options;
  const { policy, relist = () => undefined } = options;
  const to = section.options.prefix;
  const part = quota.part();
  const store = new StoreStage({ section, prefixBytes: to.length, quota, part, onListed });
  const traced = traces === undefined ? store : new TracedStage(traces, store);
  const measure = new MeasureStage({ section, clock, signal, onPropagated, next: traced });
  const read = new ReadIdentities();
  const guarded = guard?.stage(mapping, measure, read) ?? measure;
  const imported = policy?.stage(mapping, { section, next: guarded, read, relist }) ?? guarded;
  const rekeyed = new RekeyStage({ from, to, section, refused, next: imported });
  const first = { quota, part, refused, next: rekeyed };
  const admit = traces === undefined ? new AdmitStage(first) : new TracedAdmitStage(first, traces);
  admit.interrupted('a connection to the remote begins');
  return admit;
}

export interface CanaryPipelineOptions {
  readonly gate: CanaryGate;
  readonly prefix: EtcdKey;
  /** Of the canaries alone, which do not count as keys. */
  readonly quota: Quota;
  readonly log: Logger;
}

/** The first stage of what is read below a canary prefix: nothing of it is stored, but reading without end would cost as much. */
export function canaryPipeline({ gate, prefix, quota, log }: CanaryPipelineOptions): AdmitStage {
  const part = quota.part();
  const next = new CanaryStage({ gate, prefixBytes: prefix.length, quota, part });
  const refused = new RefusedKeys({ log, onRefused: () => undefined });
  return new AdmitStage({ quota, part, refused, next });
}
