/** The page about compatibility names every flag, command, series and path of the program, and nothing else. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as annotations from '../../src/apiserver/annotations.ts';
import { apiserverFlagTable } from '../../src/apiserver/flags.ts';
import { exportPlanFlagTable } from '../../src/apiserver/plan/flags.ts';
import { checkFlagTable, generateFlagTable, rotateFlagTable } from '../../src/certs/flags.ts';
import { localTroubleshootFlagTable, meshTroubleshootFlagTable, statusFlagTable } from '../../src/cli/debug/flags.ts';
import { etcdinitFlagTable } from '../../src/etcdinit/flags.ts';
import { kvstoremeshFlagTable } from '../../src/kvstoremesh/flags.ts';
import { corednsFlagTable } from '../../src/mcsapi-coredns-cfg/flags.ts';
import {
  connectFlagTable,
  disconnectFlagTable,
  doctorFlagTable,
  enableFlagTable,
  statusFlagTable as meshStatusFlagTable,
  quarantineFlagTable,
  uiFlagTable,
} from '../../src/mesh/flags.ts';

import { kubernetesFlags, logFlags } from '../../src/shared/flags/shared-flags.ts';
import type { FlagTable } from '../../src/shared/flags/table.ts';
import { CONTROLLER_GROUPS } from '../../src/shared/process/controller-runs.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { runChild } from '../support/processes/child.ts';
import { type ScrapedDaemons, startScrapedDaemons } from '../support/processes/scraped-daemons.ts';
import { until } from '../support/until.ts';
import { familiesOf, ORIGINAL_SERIES } from './original-series.ts';

const ROOT = join(import.meta.dirname, '../..');
const STANDINGS = ['same', 'better', 'ours', 'no effect', 'not done'];

interface Row {
  /** What stands in backticks in the first cell, else the cell. */
  readonly name: string;
  /** By the heading of the column. */
  readonly cells: Readonly<Record<string, string>>;
}

/** The rows of the tables below each heading of the page. */
const sections = new Map<string, Row[]>();
let heading = '';
let columns: string[] | undefined;
for (const line of readFileSync(join(ROOT, 'docs/reference/compatibility.md'), 'utf8').split('\n')) {
  if (line.startsWith('#')) heading = line.replace(/^#+ /, '');
  if (!line.startsWith('|')) columns = undefined;
  else if (columns === undefined) columns = cellsOf(line);
  else if (!line.startsWith('| ---') && !line.startsWith('|---')) {
    const cells = cellsOf(line);
    const [first = ''] = cells;
    const row = { name: /`([^`]+)`/.exec(first)?.[1] ?? first, cells: named(columns, cells) };
    sections.set(heading, [...(sections.get(heading) ?? []), row]);
  }
}

function cellsOf(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}

function named(names: readonly string[], cells: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, index) => [name, cells[index] ?? '']));
}

function rowsOf(section: string): readonly Row[] {
  const rows = sections.get(section);
  if (rows === undefined) throw new Error(`the page has no table below ${section}`);
  return rows;
}

const namesOf = (section: string) => rowsOf(section).map(({ name }) => name);
const flagsOf = (...tables: FlagTable[]) => [...new Set(tables.flatMap(Object.keys))].map((name) => `--${name}`).sort();

test('every row has a standing that the page explains, and a deviation from the original has a remark', () => {
  expect(namesOf('Compatibility')).toEqual(STANDINGS);
  const rows = [...sections].filter(([section]) => section !== 'Compatibility').flatMap(([, each]) => each);
  expect(rows.length).toBeGreaterThan(100);
  expect(rows.filter(({ cells }) => !STANDINGS.includes(cells.standing ?? ''))).toEqual([]);
  const unexplained = ({ cells }: Row) => cells.remarks === '' && /better|no effect|not done/.test(cells.standing ?? '');
  expect(rows.filter(unexplained)).toEqual([]);
});

test('every annotation that decides about exports has its row, with its older names in their order', () => {
  const rows = rowsOf('Fields and annotations that are read').map(({ cells }) => cells['field or annotation']);
  for (const names of Object.values(annotations).filter((each) => Array.isArray(each))) {
    expect(rows).toContain(names.map((name: string) => `\`${name}\``).join(', '));
  }
});

test('every flag of the daemons has its row, with the daemons that have it', () => {
  const [apiserver, mesh] = [new Set(flagsOf(apiserverFlagTable)), new Set(flagsOf(kvstoremeshFlagTable))];
  const ofWhom = (flag: string) => (apiserver.has(flag) ? (mesh.has(flag) ? 'both' : 'clustermesh') : 'kvstoremesh');
  const expected = flagsOf(apiserverFlagTable, kvstoremeshFlagTable).map((flag) => [flag, ofWhom(flag)]);
  expect(rowsOf('Of the daemons').map(({ name, cells }) => [name, cells.of])).toEqual(expected);
});

test('exactly the flags that are not read are listed as without effect', () => {
  const table: FlagTable = { ...apiserverFlagTable, ...kvstoremeshFlagTable };
  const inert = flagsOf(table).filter((flag) => table[flag.slice(2)]?.inert);
  const rows = rowsOf('Of the daemons').filter(({ cells }) => cells.standing === 'no effect');
  expect(rows.map(({ name }) => name)).toEqual(inert);
});

test('every flag of the other commands has its row', () => {
  expect(namesOf('Of etcdinit')).toEqual(flagsOf(etcdinitFlagTable));
  const debugging = flagsOf(localTroubleshootFlagTable, meshTroubleshootFlagTable, statusFlagTable);
  expect(namesOf('Of clustermesh-dbg and kvstoremesh-dbg')).toEqual(debugging);
  const ofPlan = flagsOf(exportPlanFlagTable).filter((flag) => !(flag.slice(2) in kubernetesFlags));
  expect(namesOf('Of clustermesh-dbg export-plan')).toEqual(ofPlan);
  const ofItsOwn = flagsOf(corednsFlagTable).filter((flag) => !(flag.slice(2) in apiserverFlagTable));
  expect(namesOf('Of mcsapi-coredns-cfg')).toEqual(ofItsOwn);
  expect(namesOf('Of connect and disconnect')).toEqual(flagsOf(connectFlagTable, disconnectFlagTable));
  expect(namesOf('Of doctor')).toEqual(flagsOf(doctorFlagTable));
  expect(namesOf('Of status')).toEqual(flagsOf(meshStatusFlagTable));
  expect(namesOf('Of enable')).toEqual(flagsOf(enableFlagTable));
  expect(namesOf('Of quarantine and ui')).toEqual(flagsOf(quarantineFlagTable, uiFlagTable));
  const ofCerts = flagsOf(generateFlagTable, rotateFlagTable, checkFlagTable);
  expect(namesOf('Of certs')).toEqual(ofCerts.filter((flag) => !(flag.slice(2) in { ...kubernetesFlags, ...logFlags })));
});

test('every group of controllers that is counted has its row', () => {
  const rows = rowsOf('Groups of controllers').filter(({ cells }) => cells.standing !== 'not done');
  expect(rows.map(({ name }) => name)).toEqual(CONTROLLER_GROUPS);
});

test('exactly the commands of the program are not among those that are not done', async () => {
  const { stdout } = await runChild(process.execPath, [join(ROOT, 'src/main.ts'), '--help']);
  const commands = [...stdout.matchAll(/^ {2}([a-z-]+) {2,}/gm)].map(([, name]) => name);
  const rows = rowsOf('Commands').filter(({ cells }) => cells.standing !== 'not done');
  expect(rows.map(({ name }) => name).sort()).toEqual(commands.sort());
});

describe.skipIf(etcdVersions().length === 0)('both daemons', { timeout: 120_000 }, () => {
  let daemons: ScrapedDaemons;
  beforeAll(async () => {
    daemons = await startScrapedDaemons(
      '--pprof',
      '--gops-port=9895',
      // Nothing listens there, but its series are there.
      '--k8s-api-server-urls=http://127.0.0.1:9',
      '--k8s-namespace=default',
      '--k8s-status-configmap=mesh',
    );
  }, 120_000);
  afterAll(() => daemons[Symbol.asyncDispose]());

  /** Names of the families of a scrape; of those of the process the first part of them. */
  const namesOfFamilies = (scrape: string) =>
    new Set([...familiesOf(scrape).keys()].map((name) => name.replace(/^(process|nodejs)_.*/, '$1_…')));

  test('the series of the original have its types, labels and buckets', async () => {
    const { clustermesh, kvstoremesh, local } = daemons;
    // So that both daemons have seen an event.
    await local.put({ 'cilium/cluster-config/other': '{}' });
    const seen = 'kvstore_events_queue_seconds_count{scope="cilium/clust",action="create"}';
    for (const daemon of [clustermesh, kvstoremesh]) await until('the event', async () => (await daemon.scrape()).includes(seen));
    for (const [daemon, isMesh] of [
      [clustermesh, false],
      [kvstoremesh, true],
    ] as const) {
      const families = familiesOf(await daemon.scrape());
      for (const [name, { type, labels, buckets = [], meshOnly }] of Object.entries(ORIGINAL_SERIES)) {
        const family = families.get(name);
        if (meshOnly && !isMesh) expect(family, name).toBeUndefined();
        // Errors have no series before the first one.
        else if (name === 'kvstore_quorum_errors_total') expect(family, name).toEqual({ type, labels: undefined, buckets });
        else expect(family, name).toEqual({ type, labels, buckets });
      }
    }
  });

  test('exactly the series of the original are not ours', () => {
    const common = rowsOf('Series').filter(
      ({ name, cells }) => !/ours|not done/.test(cells.standing ?? '') && name !== 'process_…',
    );
    expect(common.map(({ name }) => name).sort()).toEqual(Object.keys(ORIGINAL_SERIES).sort());
  });

  test('every series that a scrape shows has its row, and every row is shown', async () => {
    const [apiserver, mesh] = [
      namesOfFamilies(await daemons.clustermesh.scrape()),
      namesOfFamilies(await daemons.kvstoremesh.scrape()),
    ];
    const ofWhom = (name: string) => (apiserver.has(name) ? (mesh.has(name) ? 'both' : 'clustermesh') : 'kvstoremesh');
    const shown = [...apiserver.union(mesh)].map((name) => `${name} of ${ofWhom(name)}`);
    const rows = rowsOf('Series').filter(({ cells }) => cells.standing !== 'not done');
    expect(rows.map(({ name, cells }) => `${name} of ${cells.of}`).sort()).toEqual(shown.sort());
  });

  test('every path has its row and answers', async () => {
    for (const { name, cells } of rowsOf('Endpoints')) {
      const [, port = '', path = ''] = /^GET \S*:(\d+)(\/\S*)$/.exec(name) ?? [];
      const [first, second] = [daemons.clustermesh, daemons.kvstoremesh];
      const ports =
        port === '9880'
          ? [first.daemon.healthPort, second.daemon.healthPort]
          : port === '9962'
            ? [first.metricsPort, second.metricsPort]
            : [daemons.apiPort];
      expect(cells.of, name).toBe(ports.length === 2 ? 'both' : 'kvstoremesh');
      for (const each of ports) {
        const { status, body } = await fetch(`http://127.0.0.1:${each}${path}`);
        // A stream does not end by itself.
        await body?.cancel();
        expect(status, name).toBe(200);
      }
    }
  });

  test('every prefix that is written has its row', async () => {
    const prefixes = namesOf('Keys in etcd');
    const keys = Object.keys(await daemons.local.dump(''));
    expect(keys.length).toBeGreaterThan(15);
    expect(keys.filter((key) => !prefixes.some((prefix) => key.startsWith(prefix)))).toEqual([]);
  });

  test('flags without effect are named in the log where they are given, and nowhere else', () => {
    const told = (log: string) => log.split('\n').find((line) => line.includes('ignoring flags that have no effect'));
    expect(JSON.parse(told(daemons.kvstoremesh.daemon.log) ?? '{}')).toMatchObject({ flags: ['pprof', 'gops-port'] });
    expect(told(daemons.clustermesh.daemon.log)).toBeUndefined();
  });
});
