/** What the chart lets kvstoremesh report to Kubernetes, with the Role that it makes, and with one right missing at a time. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { etcdVersions, startEtcd } from '../support/etcd/etcd-process.ts';
import { kubeApiserverMissing } from '../support/kubernetes/kube-apiserver.ts';
import { type Daemon, quickProgram, startDaemon } from '../support/processes/daemon.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { Cluster } from './cluster/cluster.ts';
import { accountKubeconfig, rightsOf, rulesWithout } from './cluster/rights.ts';
import {
  CHART,
  Helm,
  helmMissing,
  type KubeObject,
  NAMESPACE,
  objectsOf,
  type PolicyRule,
  referenceOf,
  type Values,
} from './rendered/helm.ts';
import { containerNamed, meshPod } from './rendered/pods.ts';

const missing = helmMissing() ?? kubeApiserverMissing() ?? (etcdVersions().length === 0 ? 'no etcd' : undefined);

const MAP = 'clustermesh-status';
const ROLE = 'Role/clustermesh-apiserver';

describe.skipIf(missing !== undefined)(`reports of the chart${missing === undefined ? '' : ` (${missing})`}`, () => {
  let cluster: Cluster;
  let helm: Helm;
  let objects: readonly KubeObject[];
  let accounts = 0;
  const directory = temporaryDirectory('reports');

  beforeAll(async () => {
    cluster = await Cluster.start();
    helm = new Helm();
    objects = await rendered({});
    await cluster.create(find(`ConfigMap/${MAP}`) as KubeObject);
  }, 180_000);

  afterAll(async () => {
    helm?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  }, 30_000);

  const rendered = async (values: Values) => objectsOf(await helm.template({ tls: { method: 'provided' }, ...values }));
  const find = (reference: string, of = objects) => of.find((object) => referenceOf(object) === reference);

  /** The daemon with the arguments of the chart, as an account with these rights. */
  async function startWith(rules: readonly PolicyRule[], endpoint: string, remotes: string): Promise<Daemon> {
    accounts += 1;
    const name = `account-${accounts}`;
    const metadata = { name, namespace: NAMESPACE };
    await cluster.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata });
    const version = 'rbac.authorization.k8s.io/v1';
    await cluster.create({ apiVersion: version, kind: 'Role', metadata, rules });
    const subjects = [{ kind: 'ServiceAccount', ...metadata }];
    const binding = { roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name }, subjects };
    await cluster.create({ apiVersion: version, kind: 'RoleBinding', metadata, ...binding });
    const file = join(directory, name);
    writeFileSync(file, await accountKubeconfig(cluster, name));
    const { args } = containerNamed(meshPod(objects), 'kvstoremesh');
    return startDaemon(
      'kvstoremesh',
      [
        ...args.filter((argument) => argument.startsWith('--k8s-')),
        '--cluster-name=east',
        '--cluster-id=1',
        '--api-serve-addr=',
        `--clustermesh-config=${remotes}`,
        `--kvstore-opt=etcd.address=${endpoint}`,
        `--k8s-kubeconfig-path=${file}`,
        `--k8s-namespace=${NAMESPACE}`,
        `--k8s-pod-name=${name}`,
      ],
      quickProgram({}),
    );
  }

  /** A directory with a remote cluster whose etcd does not exist. */
  function unreachable(): string {
    const remotes = temporaryDirectory('remotes');
    writeFileSync(join(remotes, 'west'), 'endpoints: ["http://127.0.0.1:1"]\n');
    return remotes;
  }

  async function eventsOf(instance: string): Promise<readonly { readonly reason: string }[]> {
    const list = (await cluster.requests.get(`/apis/events.k8s.io/v1/namespaces/${NAMESPACE}/events`)) as {
      items: { reason: string; reportingInstance: string }[];
    };
    return list.items.filter(({ reportingInstance }) => reportingInstance === instance);
  }

  test('its Role is enough to write Events and the ConfigMap, and nothing of it is superfluous', {
    timeout: 120_000,
  }, async () => {
    await using etcd = await startEtcd();
    const rules = find(ROLE)?.rules ?? [];
    expect(rightsOf(rules)).toEqual(['create events.k8s.io/events', `patch /configmaps/${MAP}`, 'patch events.k8s.io/events']);
    await using daemon = await startWith(rules, etcd.endpoint, unreachable());
    await until('the Event is there', async () => (await eventsOf('account-1'))[0]?.reason === 'RemoteClusterUnreachable');
    await until('the ConfigMap is written', async () => (await cluster.get('ConfigMap', MAP))?.data?.west_ready === 'false');
    expect(daemon.log).not.toContain('cannot write');
    await daemon.kill();
    for (const right of ['create events.k8s.io/events', `patch /configmaps/${MAP}`]) {
      await using store = await startEtcd();
      await using limited = await startWith(rulesWithout(rules, right), store.endpoint, unreachable());
      const what = right.includes('events') ? 'cannot write Events' : `cannot write ConfigMap ${NAMESPACE}/${MAP}`;
      await until(`the log says what is missing without ${right}`, () => limited.log.includes(what));
      await limited.kill();
    }
  });

  test('the rules in docs/running.md are those of the Role', () => {
    const text = readFileSync(join(CHART, '../../docs/running.md'), 'utf8');
    const [, block = ''] = /^```yaml\n(rules:\n(?:.*\n)*?)```$/m.exec(text) ?? [];
    expect(parse(block)).toEqual({ rules: find(ROLE)?.rules });
  });

  test('without reports there is no Role, no ConfigMap, and no token for kvstoremesh', async () => {
    const of = await rendered({ kvstoremesh: { reports: { events: false, statusConfigMap: '' } } });
    expect([find(ROLE, of), find(`ConfigMap/${MAP}`, of)]).toEqual([undefined, undefined]);
    const { args, env, volumeMounts = [] } = containerNamed(meshPod(of), 'kvstoremesh');
    expect(args.filter((argument) => argument.startsWith('--k8s-'))).toEqual([]);
    expect(env).toBeUndefined();
    expect(volumeMounts.map(({ name }) => name)).not.toContain('kubernetes-api-access');
  });

  test('each of the two can be had alone, with just its rights', async () => {
    const rights = async (reports: object) => rightsOf(find(ROLE, await rendered({ kvstoremesh: { reports } }))?.rules ?? []);
    expect(await rights({ events: false, statusConfigMap: 'mesh' })).toEqual(['patch /configmaps/mesh']);
    expect(await rights({ statusConfigMap: '' })).toEqual(['create events.k8s.io/events', 'patch events.k8s.io/events']);
  });
});
