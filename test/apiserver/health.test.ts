import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KubernetesHealth } from '../../src/apiserver/informers/health.ts';
import { KubeForbiddenError, KubeUnreachableError } from '../../src/shared/kubernetes/errors.ts';
import { NAMESPACES } from '../../src/shared/kubernetes/objects/resources.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import type { ClustermeshRun } from '../support/kubernetes/clustermesh-run.ts';
import { until } from '../support/until.ts';
import { DaemonRig } from './clustermesh-fixture.ts';

test('a kind that may not be watched is named with its last failure until it may', () => {
  const health = new KubernetesHealth();
  const observe = health.observe(NAMESPACES);
  const fail = (error: KubeForbiddenError | KubeUnreachableError) => observe({ type: 'failure', error, delayMs: 1 });
  observe({ type: 'state', state: 'listing' });
  fail(new KubeForbiddenError('list namespaces: RBAC denies it'));
  observe({ type: 'state', state: 'failing' });
  expect(health.problems()).toEqual(['namespaces: KUBE_FORBIDDEN: list namespaces: RBAC denies it']);
  fail(new KubeUnreachableError('list namespaces: no answer'));
  expect(health.problems()).toEqual(['namespaces: KUBE_UNREACHABLE: list namespaces: no answer']);
  observe({ type: 'state', state: 'watching' });
  expect(health.problems()).toEqual([]);
  fail(new KubeUnreachableError('the watch broke off'));
  observe({ type: 'state', state: 'missing' });
  expect(health.problems()).toEqual([]);
});

describe.skipIf(etcdVersions().length === 0)('/healthz of clustermesh', () => {
  const healthz = async ({ healthPort }: ClustermeshRun) => (await fetch(`http://127.0.0.1:${healthPort}/healthz`)).text();

  test('names the API server and the local etcd while they are away, and is ok when they are back', async () => {
    await using rig = await DaemonRig.start();
    const daemon = await rig.daemon();
    await until('all is well', async () => (await daemon.readiness()) === 'Ready' && (await healthz(daemon)) === 'ok');
    await rig.etcd.kill();
    const away = await until('the etcd is missed', async () => /^local etcd: .*$/m.exec(await healthz(daemon))?.[0]);
    expect(away).toMatch(/^local etcd: ETCD_UNAVAILABLE: /);
    expect((await fetch(`http://127.0.0.1:${daemon.healthPort}/livez`)).status).toBe(200);
    await rig.etcd.restart();
    await until('all is well again', async () => (await healthz(daemon)) === 'ok', { withinMs: 45_000 });
    await rig.kubernetes.stop();
    await until('Kubernetes is missed', async () => (await healthz(daemon)).includes('Kubernetes: services: KUBE_UNREACHABLE: '));
  });

  test('names a users file that cannot be used', async () => {
    await using rig = await DaemonRig.start();
    const file = join(rig.directory, 'users.yaml');
    const daemon = await rig.daemon('--cluster-users-enabled', `--cluster-users-config-path=${file}`);
    const shows = (text: RegExp) => until(`${text} is shown`, async () => text.test(await healthz(daemon)));
    await shows(/^users: USERS_FILE_INVALID: users file .*users\.yaml.*$/m);
    writeFileSync(file, 'users: [oops');
    await shows(/^users: USERS_FILE_INVALID: users file .*users\.yaml:1.*$/m);
    const livez = await fetch(`http://127.0.0.1:${daemon.healthPort}/livez`);
    expect([livez.status, await livez.text()]).toEqual([200, expect.stringContaining('users: USERS_FILE_INVALID: ')]);
    writeFileSync(file, 'users: []\n');
    await shows(/^ok$/);
  });

  test('reports that the daemon waits for the API server', async () => {
    await using rig = await DaemonRig.start();
    await rig.kubernetes.stop();
    const daemon = await rig.daemon();
    const text = await until('it serves', () => healthz(daemon));
    expect(text).toContain('local etcd: waiting for its configuration\n');
    expect(text).toContain('Kubernetes: waiting for the Kubernetes API server\n');
  });
});
