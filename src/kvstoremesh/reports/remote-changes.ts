/**
 * Which changes of a remote cluster become Events.
 *
 * An intermediate phase, such as a connection whose cluster config is not read yet, causes no Event. Neither does an attempt to
 * reconnect that fails after another one has failed.
 */
import type { EventContent } from '../../shared/kubernetes/events.ts';
import { printable } from '../../shared/printable.ts';
import type { RemovalStep } from '../remote/clusters.ts';
import type { RemotePhase } from '../remote/state.ts';
import { MAX_REPORT_TEXT_LENGTH } from './limits.ts';

type Told = 'connected' | 'disconnected' | 'unconfigured' | 'refused' | 'stopped';

export class RemoteChanges {
  readonly #onChange: (event: EventContent) => void;
  /** What was last told of each cluster. */
  readonly #told = new Map<string, Told>();

  constructor(onChange: (event: EventContent) => void) {
    this.#onChange = onChange;
  }

  /** The cluster has come to `phase`, or is still in it. */
  entered(cluster: string, phase: RemotePhase): void {
    const reason = 'reason' in phase && phase.reason !== undefined ? printable(phase.reason, MAX_REPORT_TEXT_LENGTH) : undefined;
    const before = this.#told.get(cluster);
    switch (phase.kind) {
      case 'connecting':
        if (reason === undefined) return;
        if (before === undefined)
          this.#warn(cluster, 'disconnected', 'Unreachable', `cannot connect to remote cluster ${cluster}: ${reason}`);
        else
          this.#warn(
            cluster,
            'disconnected',
            'Disconnected',
            `disconnected from remote cluster ${cluster}; its last known state is kept: ${reason}`,
          );
        return;
      case 'waiting':
        if (reason !== undefined)
          this.#warn(
            cluster,
            'unconfigured',
            'ConfigMissing',
            `remote cluster ${cluster} has no valid cluster config: ${reason}`,
          );
        return;
      case 'retrieved':
        return;
      case 'mirroring': {
        const [word, text] =
          before === 'stopped'
            ? ['Resumed', `remote cluster ${cluster} is within its limits; mirroring resumed`]
            : ['Connected', `connected to remote cluster ${cluster} with ID ${phase.config.id}; it is mirrored`];
        this.#tell(cluster, 'connected', { type: 'Normal', reason: `RemoteCluster${word}`, action: 'Mirror', note: text });
        return;
      }
      case 'refused':
        this.#warn(cluster, 'refused', 'Refused', `remote cluster ${cluster} is not mirrored: ${reason}`);
        return;
      case 'stopped':
        this.#warn(
          cluster,
          'stopped',
          'Stopped',
          `mirroring of remote cluster ${cluster} stopped; its last valid state is kept: ${reason}`,
        );
    }
  }

  /** The file of the cluster was removed, or that has come to its end. */
  removed(cluster: string, step: RemovalStep): void {
    this.#told.delete(cluster);
    const isDrained = step === 'drained';
    const texts = {
      kept: `remote cluster ${cluster} was removed from the configuration; its keys are kept`,
      draining: `remote cluster ${cluster} was removed from the configuration; its keys are kept until agents have had time to disconnect`,
      drained: `the keys of the removed remote cluster ${cluster} were removed`,
    };
    const reason = isDrained ? 'RemoteClusterDrained' : 'RemoteClusterRemoved';
    this.#onChange({ type: 'Normal', reason, action: 'Remove', note: texts[step] });
  }

  #warn(cluster: string, told: Told, word: string, note: string): void {
    this.#tell(cluster, told, { type: 'Warning', reason: `RemoteCluster${word}`, action: 'Mirror', note });
  }

  #tell(cluster: string, told: Told, event: EventContent): void {
    if (this.#told.get(cluster) === told) return;
    this.#told.set(cluster, told);
    this.#onChange(event);
  }
}
