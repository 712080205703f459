/**
 * The `clustermesh` daemon under test: `bin/clustermesh-apiserver clustermesh …`, or the command that
 * `$CLUSTERMESH_APISERVER_CMD` names (its subcommand included).
 */

import { freePort } from '../../support/network/free-port.ts';
import { Daemon } from '../../support/processes/daemon.ts';
import { programCommand } from '../program.ts';
import type { ScenarioFlags } from './recording/scenario.ts';

export interface DaemonSettings {
  readonly flags: ScenarioFlags;
  readonly kubeconfigFile: string;
  /** A file in the form of `etcd.config`. */
  readonly etcdConfigFile: string;
  /** Where the users of etcd are to follow it. */
  readonly usersFile?: string;
}

export async function startDaemon({ flags, kubeconfigFile, etcdConfigFile, usersFile }: DaemonSettings): Promise<Daemon> {
  const healthPort = await freePort();
  const command = [
    ...programCommand('CLUSTERMESH_APISERVER_CMD', 'clustermesh'),
    `--cluster-name=${flags.clusterName}`,
    `--cluster-id=${flags.clusterId}`,
    `--k8s-kubeconfig-path=${kubeconfigFile}`,
    '--kvstore=etcd',
    `--kvstore-opt=etcd.config=${etcdConfigFile}`,
    `--health-port=${healthPort}`,
    `--prometheus-serve-addr=127.0.0.1:${await freePort()}`,
    ...(usersFile === undefined ? [] : ['--cluster-users-enabled', `--cluster-users-config-path=${usersFile}`]),
    ...scenarioArguments(flags),
  ];
  return new Daemon(command, healthPort);
}

/** The settings of a scenario, as flags; what it does not set is left to the program. */
export function scenarioArguments(flags: ScenarioFlags): readonly string[] {
  const settings: readonly (readonly [flag: string, value: unknown])[] = [
    ['clustermesh-enable-mcs-api', flags.mcsApi],
    ['enable-cilium-endpoint-slice', flags.ciliumEndpointSlice],
    ['clustermesh-default-global-namespace', flags.defaultGlobalNamespace],
    ['k8s-service-proxy-name', flags.serviceProxyName],
    ['max-connected-clusters', flags.maxConnectedClusters],
    ['clustermesh-service-v2', flags.serviceV2],
    ['kvstore-lease-ttl', flags.leaseTTL],
  ];
  return settings.filter(([, value]) => value !== undefined).map(([flag, value]) => `--${flag}=${String(value)}`);
}
