/**
 * The `kvstoremesh` daemon under test: `bin/clustermesh-apiserver kvstoremesh …`, or the command that
 * `$KVSTOREMESH_CMD` names (its subcommand included).
 */
import { Daemon } from '../../../support/processes/daemon.ts';
import { programCommand } from '../../program.ts';
import type { ScenarioFlags } from '../recording/scenario.ts';

export interface DaemonSettings {
  readonly flags: ScenarioFlags;
  /** The directory of remote clusters. */
  readonly configDirectory: string;
  /** A file in the form of `etcd.config`, of the local etcd. */
  readonly etcdConfigFile: string;
  readonly healthPort: number;
  readonly apiPort: number;
  readonly metricsPort: number;
}

export function startDaemon({ flags, configDirectory, etcdConfigFile, ...ports }: DaemonSettings): Daemon {
  const command = [
    // The original mirrors clusters whose IDs are in conflict; this program does with a flag.
    ...programCommand('KVSTOREMESH_CMD', 'kvstoremesh', '--allow-id-conflicts'),
    `--cluster-name=${flags.clusterName}`,
    `--cluster-id=${flags.clusterId}`,
    `--clustermesh-config=${configDirectory}`,
    `--kvstore-opt=etcd.config=${etcdConfigFile}`,
    `--health-port=${ports.healthPort}`,
    `--api-serve-addr=127.0.0.1:${ports.apiPort}`,
    `--prometheus-serve-addr=127.0.0.1:${ports.metricsPort}`,
    `--max-connected-clusters=${flags.maxConnectedClusters}`,
    ...flags.extra,
  ];
  return new Daemon(command, ports.healthPort);
}
