/** A real Prometheus: of the PATH, or as scripts/build-test-tools.sh has unpacked it. */
import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './network/free-port.ts';
import { temporaryDirectory } from './temporary-directory.ts';

function find(program: string): string | undefined {
  const unpacked = join(import.meta.dirname, '../../.cache/tools/prometheus', program);
  return [program, unpacked].find((path) => spawnSync(path, ['--version'], { stdio: 'ignore' }).status === 0);
}

const [SERVER = '', TOOL = ''] = [find('prometheus'), find('promtool')];

/** Its path. */
export const PROMTOOL = TOOL;

/** Why there is no Prometheus; undefined if there is one. */
export function prometheusMissing(): string | undefined {
  if (SERVER !== '' && TOOL !== '') return undefined;
  return 'no prometheus and promtool: install the package prometheus of Debian or Ubuntu, or run scripts/build-test-tools.sh';
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface RuleState {
  readonly name: string;
  readonly type: 'alerting' | 'recording';
  readonly health: string;
  readonly lastError?: string;
  /** Of an alert. */
  readonly state?: 'inactive' | 'pending' | 'firing';
}

export interface Prometheus extends AsyncDisposable {
  /** Rejects with Prometheus' text if it rejects the expression. */
  query(expression: string): Promise<readonly Sample[]>;
  rules(): Promise<readonly RuleState[]>;
}

export interface PrometheusOptions {
  readonly job: string;
  /** Hosts with ports; scraped once per second. */
  readonly targets: readonly string[];
  /** Paths of rule files; evaluated once per second. */
  readonly ruleFiles?: readonly string[];
}

/** It may not have scraped anything yet. */
export async function startPrometheus({ job, targets, ruleFiles = [] }: PrometheusOptions): Promise<Prometheus> {
  const directory = temporaryDirectory('prometheus');
  const port = await freePort();
  const config = {
    global: { evaluation_interval: '1s' },
    rule_files: ruleFiles,
    scrape_configs: [{ job_name: job, scrape_interval: '1s', static_configs: [{ targets }] }],
  };
  writeFileSync(join(directory, 'prometheus.yml'), JSON.stringify(config));
  const args = ['--config.file=prometheus.yml', '--storage.tsdb.path=data', `--web.listen-address=127.0.0.1:${port}`];
  const server = spawn(SERVER, args, { cwd: directory, stdio: 'ignore' });
  const get = async <Data>(path: string): Promise<Data> => {
    const answer = (await (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json()) as { data?: Data; error?: string };
    if (answer.data === undefined) throw new Error(answer.error);
    return answer.data;
  };
  interface Result {
    readonly result: readonly { readonly metric: Sample['labels']; readonly value: readonly [number, string] }[];
  }
  return {
    query: async (expression) => {
      const { result } = await get<Result>(`query?query=${encodeURIComponent(expression)}`);
      return result.map(({ metric, value: [, text] }) => ({ labels: metric, value: Number(text) }));
    },
    rules: async () => {
      const { groups } = await get<{ groups: readonly { rules: readonly RuleState[] }[] }>('rules');
      return groups.flatMap(({ rules }) => rules);
    },
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGKILL');
      await ended;
    },
  };
}
