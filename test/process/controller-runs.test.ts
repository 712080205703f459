import { expect, test } from 'vitest';
import { Registry } from '../../src/shared/http/metrics.ts';
import { CONTROLLER_GROUPS, countControllerRuns } from '../../src/shared/process/controller-runs.ts';

test.each<[string, string[], readonly string[]]>([
  ['no names', [], []],
  ['all', ['all'], CONTROLLER_GROUPS],
  ['none beside all', ['all', 'none'], []],
  ['a name, and names of others', ['write-cni-file', 'k8s-heartbeat'], ['k8s-heartbeat']],
  ['names separated by spaces', ['sync-host-ips k8s-heartbeat'], ['k8s-heartbeat']],
  ['names of others only', ['sync-host-ips'], []],
])('%s make the named groups counted', async (_, names, counted) => {
  const registry = new Registry('t_');
  const observerOf = countControllerRuns(registry, names);
  const observers = CONTROLLER_GROUPS.map((group) => [group, observerOf(group)] as const);
  expect(observers.flatMap(([group, observer]) => (observer === undefined ? [] : [group]))).toEqual(counted);
  expect(await registry.metrics()).toMatch(counted.length === 0 ? /^\s*$/ : /^# TYPE t_controllers_group_runs_total counter$/m);
});

test('runs are counted by group and status, from zero on', async () => {
  const registry = new Registry('t_');
  const observerOf = countControllerRuns(registry, ['all']);
  const beat = observerOf('k8s-heartbeat');
  observerOf('clustermesh-remote-cluster');
  for (const succeeded of [true, false, true]) beat?.(succeeded);
  const scrape = await registry.metrics();
  expect(scrape).toContain('t_controllers_group_runs_total{group_name="k8s-heartbeat",status="success"} 2\n');
  expect(scrape).toContain('t_controllers_group_runs_total{group_name="k8s-heartbeat",status="failure"} 1\n');
  expect(scrape).toContain('t_controllers_group_runs_total{group_name="clustermesh-remote-cluster",status="failure"} 0\n');
});
