/** A Prometheus with the alerts of the chart, where this machine has one. */
import { readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { until } from '../until.ts';
import { isExecutable, type SearchEnvironment } from './etcd-binary.ts';
import { freePort } from './free-port.ts';
import { MeshProcess, type ProcessHost } from './mesh-process.ts';

const ROOT = join(import.meta.dirname, '../../..');
const RULES = join(ROOT, 'charts/clustermesh-apiserver/files/rules/kvstoremesh.yaml');
/** Where the tests unpack it. */
const UNPACKED = join(ROOT, '.cache/tools/prometheus');

export interface PrometheusOptions {
  readonly path: string;
  /** Takes its data, its configuration and its log. */
  readonly directory: string;
  /** `127.0.0.1:port` of what is scraped. */
  readonly target: string;
  readonly host: ProcessHost;
  readonly signal: AbortSignal;
}

export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** `pending` or `firing`. */
  readonly state: string;
}

/** Its path; undefined where there is none in the PATH, and the tests have unpacked none. */
export function findPrometheus({ PATH = '' }: SearchEnvironment): string | undefined {
  const directories = [...PATH.split(delimiter).filter((directory) => directory !== ''), UNPACKED];
  return directories.map((directory) => join(directory, 'prometheus')).find(isExecutable);
}

export class Prometheus {
  readonly process: MeshProcess;
  readonly url: string;
  readonly #signal: AbortSignal;

  private constructor(process: MeshProcess, url: string, signal: AbortSignal) {
    this.process = process;
    this.url = url;
    this.#signal = signal;
  }

  /** Resolves when it serves; throws NotInTimeError. Its alerts fire at once: in the chart they wait for minutes. */
  static async start({ path, directory, target, host, signal }: PrometheusOptions): Promise<Prometheus> {
    const rules = join(directory, 'rules.yaml');
    writeFileSync(rules, readFileSync(RULES, 'utf8').replace(/^( +for): \d+\w$/gm, '$1: 0s'));
    const config = join(directory, 'prometheus.yaml');
    writeFileSync(config, configuration(rules, target));
    const address = `127.0.0.1:${await freePort()}`;
    const process = new MeshProcess({
      name: 'Prometheus',
      command: path,
      args: [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(directory, 'data')}`,
        `--web.listen-address=${address}`,
        '--log.level=warn',
      ],
      env: {},
      logFile: join(directory, 'prometheus.log'),
      host,
    });
    process.start();
    const prometheus = new Prometheus(process, `http://${address}`, signal);
    const isReady = async () => {
      const answer = await fetch(`${prometheus.url}/-/ready`, { signal });
      return answer.ok ? undefined : 'Prometheus is not ready';
    };
    await until(isReady, { signal });
    return prometheus;
  }

  async alerts(): Promise<readonly Alert[]> {
    const answer = await fetch(`${this.url}/api/v1/alerts`, { signal: this.#signal });
    const { data } = (await answer.json()) as { readonly data: { readonly alerts: readonly Alert[] } };
    return data.alerts;
  }
}

function configuration(rules: string, target: string): string {
  return [
    'global: {scrape_interval: 1s, evaluation_interval: 1s, external_labels: {cluster: west}}',
    `rule_files: [${JSON.stringify(rules)}]`,
    'scrape_configs:',
    '- job_name: clustermesh-apiserver-metrics',
    `  static_configs: [{targets: [${JSON.stringify(target)}]}]`,
    '',
  ].join('\n');
}
