/**
 * The program under test as a process: `bin/clustermesh-apiserver clustermesh …`, or the command that
 * `$CLUSTERMESH_APISERVER_CMD` names (words separated by spaces, its subcommand included).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { freePort } from '../../support/free-port.ts';
import { within } from '../../support/until.ts';
import type { ScenarioFlags } from './scenario.ts';

export interface DaemonSettings {
  readonly flags: ScenarioFlags;
  readonly kubeconfigFile: string;
  /** A file in the form of `etcd.config`. */
  readonly etcdConfigFile: string;
}

export interface DaemonEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** How long a daemon may take to end after a signal: its own limit, and some room. */
const STOP_WITHIN_MS = 10_000;
const ROOT = join(import.meta.dirname, '../../..');

export class Daemon {
  readonly #child: ChildProcess;
  readonly #ended: Promise<DaemonEnd>;
  #end: DaemonEnd | undefined;
  #output = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-50_000);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    this.#ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        this.#end = { code, signal };
        running.delete(child);
        resolve(this.#end);
      });
    });
    this.#ended.catch(() => undefined);
  }

  static async start(settings: DaemonSettings): Promise<Daemon> {
    const [command = '', ...first] = commandWords();
    const child = spawn(command, [...first, ...(await argumentsOf(settings))], { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    return new Daemon(child);
  }

  /** Undefined while it runs. */
  get end(): DaemonEnd | undefined {
    return this.#end;
  }

  /** The last lines it wrote. */
  get output(): string {
    return this.#output;
  }

  /** Resolves when it has ended by itself. */
  whenEnded(): Promise<DaemonEnd> {
    return within('the daemon ends', this.#ended);
  }

  /** Sends `signal` and resolves when it has ended. One that does not end in time is killed, and that is an error. */
  async stop(signal: NodeJS.Signals): Promise<DaemonEnd> {
    this.#child.kill(signal);
    try {
      return await within(`the daemon ends after ${signal}`, this.#ended, STOP_WITHIN_MS);
    } finally {
      this.#child.kill('SIGKILL');
    }
  }
}

function commandWords(): readonly string[] {
  const given = process.env.CLUSTERMESH_APISERVER_CMD;
  if (given === undefined || given === '') return [join(ROOT, 'bin/clustermesh-apiserver'), 'clustermesh'];
  return given.split(' ').filter((word) => word !== '');
}

async function argumentsOf({ flags, kubeconfigFile, etcdConfigFile }: DaemonSettings): Promise<readonly string[]> {
  return [
    `--cluster-name=${flags.clusterName}`,
    `--cluster-id=${flags.clusterId}`,
    `--k8s-kubeconfig-path=${kubeconfigFile}`,
    '--kvstore=etcd',
    `--kvstore-opt=etcd.config=${etcdConfigFile}`,
    `--health-port=${await freePort()}`,
    `--prometheus-serve-addr=127.0.0.1:${await freePort()}`,
    ...scenarioArguments(flags),
  ];
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

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
