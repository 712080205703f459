/**
 * A single key of a remote as a source: its heartbeat, its cluster config.
 *
 * The rights of a remote user cover the key and no range around it. The remote decides how often it changes, hence
 * everything that comes counts as a change of the remote.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Sink } from '../../shared/publisher/types.ts';
import { type EtcdSourceOptions, runEtcdSource } from '../mirror/etcd-source.ts';

export interface KeySourceOptions extends Pick<EtcdSourceOptions, 'client' | 'sink' | 'clock' | 'log' | 'signal'> {
  readonly key: EtcdKey;
  /** One change more. False where that is too many: then it is not passed on, and the signal is to be aborted. */
  readonly takeChange: () => boolean;
}

/** As `runEtcdSource`. */
export function runKeySource({ key, takeChange, sink, ...options }: KeySourceOptions): Promise<never> {
  const counted: Sink = {
    upsert: (named, value) => takeChange() && sink.upsert(named, value),
    remove: (named) => takeChange() && sink.remove(named),
    listed: () => sink.listed(),
    interrupted: (reason) => sink.interrupted(reason),
  };
  return runEtcdSource({ ...options, prefix: key, exact: true, sink: counted, onProgress: takeChange });
}
