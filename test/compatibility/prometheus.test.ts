/** A real Prometheus takes what both daemons show. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { freePort } from '../support/network/free-port.ts';
import { until } from '../support/until.ts';
import { type ScrapedDaemons, startScrapedDaemons } from './scraped-daemons.ts';

/** The program of the PATH, or that which scripts/build-test-tools.sh has unpacked; undefined where there is neither. */
function find(program: string): string | undefined {
  const unpacked = join(import.meta.dirname, '../../.cache/tools/prometheus', program);
  return [program, unpacked].find((path) => spawnSync(path, ['--version'], { stdio: 'ignore' }).status === 0);
}

const [server = '', tool = ''] = [find('prometheus'), find('promtool')];

function missing(): string | undefined {
  if (etcdVersions().length === 0) return 'no etcd was found';
  if (server !== '' && tool !== '') return undefined;
  return 'no prometheus and promtool: install the package prometheus of Debian or Ubuntu, or run scripts/build-test-tools.sh';
}

/** Series whose names are not ours to choose. */
const KNOWN = /^nodejs_active_(handles|requests|resources)_total non-counter metrics should not have "_total" suffix$/;

const reason = missing();

describe.skipIf(reason !== undefined)(`Prometheus${reason === undefined ? '' : ` (${reason})`}`, { timeout: 120_000 }, () => {
  let daemons: ScrapedDaemons;
  let directory: string;
  let prometheus: ChildProcess | undefined;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'prometheus-'));
    daemons = await startScrapedDaemons();
  }, 120_000);
  afterAll(async () => {
    prometheus?.kill('SIGKILL');
    await daemons[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  test.each(['clustermesh', 'kvstoremesh'] as const)('promtool has no complaints about the series of %s', async (name) => {
    const { stdout, stderr } = spawnSync(tool, ['check', 'metrics'], {
      input: await daemons[name].scrape(),
      encoding: 'utf8',
    });
    const complaints = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !KNOWN.test(line));
    expect(complaints).toEqual([]);
  });

  test('Prometheus scrapes both daemons and has their series', async () => {
    const port = await freePort();
    const targets = [daemons.clustermesh, daemons.kvstoremesh].map(({ metricsPort }) => `127.0.0.1:${metricsPort}`);
    const config = { scrape_configs: [{ job_name: 'mesh', scrape_interval: '1s', static_configs: [{ targets }] }] };
    writeFileSync(join(directory, 'prometheus.yml'), JSON.stringify(config));
    const args = ['--config.file=prometheus.yml', '--storage.tsdb.path=data', `--web.listen-address=127.0.0.1:${port}`];
    prometheus = spawn(server, args, { cwd: directory, stdio: 'ignore' });
    const query = async (expression: string): Promise<number[]> => {
      const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`;
      const answer = (await (await fetch(url)).json()) as { data: { result: { value: [number, string] }[] } };
      return answer.data.result.map(({ value: [, text] }) => Number(text));
    };
    await until('both are up', async () => (await query('up')).join() === '1,1', { withinMs: 60_000 });
    expect(await query('cilium_kvstoremesh_remote_cluster_readiness_status{target_cluster="berlin"}')).toEqual([1]);
    expect(await query('cilium_clustermesh_apiserver_bootstrap_seconds > 0')).toHaveLength(1);
    expect(await query('cilium_kvstoremesh_propagation_delay_seconds_count')).toEqual([0]);
    expect(await query('{__name__=~".*certificate_expiry_timestamp_seconds"}')).toEqual([]);
  });
});
