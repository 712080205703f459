/** A real Prometheus takes what both daemons show. */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { type ScrapedDaemons, startScrapedDaemons } from '../support/processes/scraped-daemons.ts';
import { PROMTOOL, prometheusMissing, startPrometheus } from '../support/prometheus.ts';
import { until } from '../support/until.ts';

/** Series whose names are not ours to choose. */
const KNOWN = /^nodejs_active_(handles|requests|resources)_total non-counter metrics should not have "_total" suffix$/;

const reason = etcdVersions().length === 0 ? 'no etcd was found' : prometheusMissing();

describe.skipIf(reason !== undefined)(`Prometheus${reason === undefined ? '' : ` (${reason})`}`, { timeout: 120_000 }, () => {
  let daemons: ScrapedDaemons;

  beforeAll(async () => {
    daemons = await startScrapedDaemons();
  }, 120_000);
  afterAll(async () => {
    await daemons[Symbol.asyncDispose]();
  });

  test.each(['clustermesh', 'kvstoremesh'] as const)('promtool has no complaints about the series of %s', async (name) => {
    const { stdout, stderr } = spawnSync(PROMTOOL, ['check', 'metrics'], {
      input: await daemons[name].scrape(),
      encoding: 'utf8',
    });
    const complaints = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !KNOWN.test(line));
    expect(complaints).toEqual([]);
  });

  test('Prometheus scrapes both daemons and has their series', async () => {
    const targets = [daemons.clustermesh, daemons.kvstoremesh].map(({ metricsPort }) => `127.0.0.1:${metricsPort}`);
    await using prometheus = await startPrometheus({ job: 'mesh', targets });
    const query = async (expression: string) => (await prometheus.query(expression)).map(({ value }) => value);
    await until('both are up', async () => (await query('up')).join() === '1,1', { withinMs: 60_000 });
    expect(await query('cilium_kvstoremesh_remote_cluster_readiness_status{target_cluster="berlin"}')).toEqual([1]);
    expect(await query('cilium_clustermesh_apiserver_bootstrap_seconds > 0')).toHaveLength(1);
    expect(await query('cilium_kvstoremesh_propagation_delay_seconds_count')).toEqual([0]);
    expect(await query('{__name__=~".*certificate_expiry_timestamp_seconds"}')).toEqual([]);
  });
});
