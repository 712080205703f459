import { describe, expect, test } from 'vitest';
import { localProblems, memberProblems } from '../../src/shared/doctor/local-checks.ts';
import type { MemberId } from '../../src/shared/etcd/types.ts';
import { examinedMesh, namesOnly, skipped } from './examined-mesh.ts';
import { LOCAL_FAULTS } from './local-faults.ts';

describe.skipIf(skipped)('the doctor names (needs etcd, and the openssl command, version 3)', () => {
  const mesh = examinedMesh();

  test.each(LOCAL_FAULTS)('$name, and nothing else', async (fault) => {
    await namesOnly(mesh(), fault);
  });

  test('nothing about an etcd that has recovered', async () => {
    expect(await mesh().problems()).toEqual([]);
  });
});

const STATUS = { version: '3.5.1', dbSize: 1, dbSizeInUse: 1, dbSizeQuota: 0, leader: 1n as MemberId, isLearner: false };

test('a release that is too old is named', () => {
  const checks = (version: string) => memberProblems({ ...STATUS, version }, 0).map(({ check }) => check);
  expect(checks('3.3.27')).toEqual(['etcd-version']);
  expect(['3.4.0', '3.10.1', '4.0.0'].flatMap(checks)).toEqual([]);
});

test('watchers are counted, and few of them that are slow for a moment are none', () => {
  const nothing = { status: undefined, alarms: undefined, users: undefined, expected: undefined, own: undefined };
  const evidence = (watchers: number, slowWatchers: number) =>
    localProblems({ ...nothing, series: { quotaBytes: undefined, watchers, slowWatchers } }).map(({ evidence: text }) => text);
  expect(evidence(50_001, 0)).toEqual(['50001 watchers, 0 of them lag behind']);
  expect(evidence(200, 150)).toEqual(['200 watchers, 150 of them lag behind']);
  expect([...evidence(50_000, 100), ...evidence(90, 90)]).toEqual([]);
});
