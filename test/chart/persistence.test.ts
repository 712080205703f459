/** A volume that outlives the Pods of the chart. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { ETCDCTL, etcdctlMissing } from '../support/etcd/etcdctl.ts';
import { freePort } from '../support/network/free-port.ts';
import { RunningPod } from './cluster/running-pod.ts';
import { Helm, helmMissing, type KubeObject, objectsOf } from './rendered/helm.ts';

const missing = helmMissing() ?? etcdctlMissing() ?? (etcdVersions().length === 0 ? 'no etcd' : undefined);

describe.skipIf(missing !== undefined)(`persistence${missing === undefined ? '' : ` (${missing})`}`, () => {
  const helm = new Helm();
  const directory = mkdtempSync(join(tmpdir(), 'persistence-test-'));
  let objects: readonly KubeObject[];

  beforeAll(async () => {
    const metrics = { etcd: { port: await freePort() } };
    const extraArgs = ['--listen-peer-urls=http://127.0.0.1:0'];
    objects = objectsOf(await helm.template({ metrics, etcd: { extraArgs, persistence: { enabled: true } } }));
  });

  afterAll(() => {
    helm[Symbol.dispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  async function start(dataDirectory: string): Promise<RunningPod> {
    return RunningPod.start({ objects, dataDirectory, etcdPort: await freePort(), kubeconfig: '', only: ['etcd'] });
  }

  async function etcdctl(pod: RunningPod, ...args: readonly string[]) {
    const all = [...pod.clientArguments('clustermesh-apiserver-admin-cert'), ...args, '--write-out=json'];
    const { stdout } = await promisify(execFile)(ETCDCTL, all, { env: { PATH: process.env.PATH } });
    return JSON.parse(stdout) as { header: { cluster_id: number; revision: number }; count?: number; users?: string[] };
  }

  test('the next Pod goes on with the keys, the users, the revision and the cluster ID of the last one', async () => {
    const data = join(directory, 'kept');
    let before: { cluster_id: number; revision: number };
    {
      await using pod = await start(data);
      await pod.ready();
      before = (await etcdctl(pod, 'put', 'cilium/state/a', '1')).header;
    }
    await using pod = await start(data);
    await pod.ready();
    const { header, count } = await etcdctl(pod, 'get', 'cilium/state/a');
    const { cluster_id, revision } = header;
    expect({ cluster_id, revision, count }).toEqual({ cluster_id: before.cluster_id, revision: before.revision, count: 1 });
    expect((await etcdctl(pod, 'user', 'list')).users).toContain('admin-east');
  });

  test('an etcd that restarts on a volume that was emptied does not serve without users', async () => {
    const data = join(directory, 'emptied');
    await using pod = await start(data);
    await pod.ready();
    for (const name of readdirSync(data)) rmSync(join(data, name), { recursive: true });
    await pod.restart('etcd');
    expect(await pod.ended('etcd')).not.toBe(0);
  });
});
