import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { corednsFlagTable } from '../../src/mcsapi-coredns-cfg/flags.ts';
import { configureCoredns } from '../../src/mcsapi-coredns-cfg/run.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { providerMissing, startKubernetes } from '../support/kubernetes/kubernetes-provider.ts';
import { runChild } from '../support/processes/child.ts';

const CONFIG_MAP = '/api/v1/namespaces/kube-system/configmaps/coredns';
const DEPLOYMENT = '/apis/apps/v1/namespaces/kube-system/deployments/coredns';
const COREFILE = '.:53 {\n    kubernetes cluster.local {\n    }\n}\n';
const CHANGED = '.:53 {\n    kubernetes cluster.local clusterset.local {\n       multicluster clusterset.local\n    }\n}\n';
const RESTARTED_AT = 'clustermesh.cilium.io/autoPatchedAt';

async function configure(...argv: string[]): Promise<void> {
  const flags = parseFlags(corednsFlagTable, argv, {});
  if (flags === 'help') throw new Error('it was not asked for help');
  await configureCoredns(flags.values, { log: silentLogger, clock: systemClock, signal: AbortSignal.timeout(60_000) });
}

interface ConfigMap {
  readonly metadata: object;
  readonly data: Readonly<Record<string, string>>;
}

const configMap: ConfigMap = { metadata: { name: 'coredns', resourceVersion: '7' }, data: { Corefile: COREFILE, other: 'x' } };

function deployment(image = 'coredns:v1.12.2', spec: object = {}, annotations: object = {}) {
  const labels = { app: 'coredns' };
  const containers = [{ name: 'coredns', image }];
  const template = { metadata: { labels, annotations }, spec: { containers } };
  return { metadata: { name: 'coredns' }, spec: { ...spec, selector: { matchLabels: labels }, template } };
}

type Answer = readonly [status: number, body: unknown];

/** A scripted API server that records writes. */
class ScriptedApi implements AsyncDisposable {
  readonly written: { readonly request: string; readonly body: unknown }[] = [];
  readonly #answers: Map<string, Answer>;
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  private constructor(answers: Readonly<Record<string, Answer>>) {
    this.#answers = new Map(Object.entries({ 'GET /version': [200, { gitVersion: 'v1.34.0' }] as const, ...answers }));
  }

  static async start(answers: Readonly<Record<string, Answer>>): Promise<ScriptedApi> {
    const api = new ScriptedApi({
      [`GET ${CONFIG_MAP}`]: [200, configMap],
      [`GET ${DEPLOYMENT}`]: [200, deployment()],
      ...answers,
    });
    await new Promise<void>((resolve) => api.#server.listen(0, '127.0.0.1', resolve));
    return api;
  }

  get flag(): string {
    return `--k8s-api-server-urls=http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const what = `${request.method} ${request.url?.split('?')[0]}`;
    const body = await text(request);
    if (request.method !== 'GET') this.written.push({ request: `${request.method} ${request.url}`, body: JSON.parse(body) });
    const [status, answer] = this.#answers.get(what) ?? [200, {}];
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const refusal = (code: number, message: string): Answer => [code, { kind: 'Status', code, message }];

test('it keeps the former Corefile, changes nothing else of the ConfigMap, and restarts the pods', async () => {
  await using api = await ScriptedApi.start({});
  await configure(api.flag);
  const data = { Corefile: CHANGED, 'Corefile.cilium.bak': COREFILE, other: 'x' };
  expect(api.written[0]).toEqual({ request: `PUT ${CONFIG_MAP}`, body: { ...configMap, data } });
  expect(api.written[1]).toEqual({
    request: `PATCH ${DEPLOYMENT}?fieldManager=mcsapi-coredns-autocfg&force=true`,
    body: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'coredns', namespace: 'kube-system' },
      spec: { template: { metadata: { annotations: { [RESTARTED_AT]: expect.stringMatching(/^[\d-]{10}T[\d:]{8}Z$/) } } } },
    },
  });
  expect(api.written).toHaveLength(2);
});

test('a run that was interrupted before the restart is completed, one that was completed is not repeated', async () => {
  const data = { Corefile: CHANGED, 'Corefile.cilium.bak': COREFILE };
  const answers = { [`GET ${CONFIG_MAP}`]: [200, { ...configMap, data }] as const };
  await using interrupted = await ScriptedApi.start(answers);
  await configure(interrupted.flag);
  expect(interrupted.written.map(({ request }) => request.split(' ')[0])).toEqual(['PATCH']);
  const restarted = deployment('coredns:v1.12.2', {}, { [RESTARTED_AT]: '2026-02-03T04:05:06Z' });
  await using completed = await ScriptedApi.start({ ...answers, [`GET ${DEPLOYMENT}`]: [200, restarted] });
  await configure(completed.flag);
  expect(completed.written).toEqual([]);
});

test('a Corefile that is already configured is not changed', async () => {
  await using api = await ScriptedApi.start({ [`GET ${CONFIG_MAP}`]: [200, { ...configMap, data: { Corefile: CHANGED } }] });
  await configure(api.flag);
  expect(api.written).toEqual([]);
});

const forbidden = refusal(403, 'deployments.apps "coredns" is forbidden: User "job" cannot get resource "deployments"');

test.each<[string, Readonly<Record<string, Answer>>, RegExp]>([
  [
    'a missing ConfigMap',
    { [`GET ${CONFIG_MAP}`]: refusal(404, 'x') },
    /no ConfigMap kube-system\/coredns; set --coredns-namespace/,
  ],
  ['a missing Deployment', { [`GET ${DEPLOYMENT}`]: refusal(404, 'x') }, /no Deployment kube-system\/coredns; .*deployment-name/],
  ['a ConfigMap without a Corefile', { [`GET ${CONFIG_MAP}`]: [200, { ...configMap, data: null }] }, /has no key Corefile/],
  ['a right that is missing', { [`GET ${DEPLOYMENT}`]: forbidden }, /cannot get Deployment .*User "job" cannot get resource/],
  ['a CoreDNS that is too old', { [`GET ${DEPLOYMENT}`]: [200, deployment('coredns:1.12.1')] }, /CoreDNS 1\.12\.1 is too old/],
  ['a paused Deployment', { [`GET ${DEPLOYMENT}`]: [200, deployment('coredns:2.0.0', { paused: true })] }, /is paused/],
])('%s is named, and nothing is written', async (_, answers, message) => {
  await using api = await ScriptedApi.start(answers);
  await expect(configure(api.flag)).rejects.toThrow(message);
  expect(api.written).toEqual([]);
});

test('a ConfigMap with continuous concurrent changes fails after five attempts, without a restart', async () => {
  await using api = await ScriptedApi.start({ [`PUT ${CONFIG_MAP}`]: refusal(409, 'the object has been modified') });
  await expect(configure(api.flag, '--k8s-client-qps=0')).rejects.toThrow(/cannot update ConfigMap .*has been modified/);
  expect(api.written.map(({ request }) => request.split(' ')[0])).toEqual(Array(5).fill('PUT'));
});

test('a domain that cannot be one is refused by the name of its flag', async () => {
  await expect(configure('--coredns-clusterset-domain=a b {')).rejects.toThrow(
    'flag --coredns-clusterset-domain: "a b {" is not a domain',
  );
});

test('the command ends with a status and one line with the cause', async () => {
  await using api = await ScriptedApi.start({ [`GET ${CONFIG_MAP}`]: refusal(404, 'x') });
  const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
  const command = ['--disable-warning=ExperimentalWarning', main, 'mcsapi-coredns-cfg'];
  const failed = await runChild(process.execPath, [...command, api.flag]);
  expect(failed.stderr).toContain('there is no ConfigMap kube-system/coredns');
  expect(failed.status).toBe(255);
  await using good = await ScriptedApi.start({});
  expect((await runChild(process.execPath, [...command, good.flag])).status).toBe(0);
}, 30_000);

const missing = providerMissing('real');

describe.skipIf(missing !== undefined)(`a real kube-apiserver (${missing ?? 'here'})`, () => {
  test('has the new Corefile and pods to be replaced, a second run changes nothing', async () => {
    await using kubernetes = await startKubernetes('real');
    const { requests } = kubernetes;
    const collection = (path: string) => path.slice(0, path.lastIndexOf('/'));
    await requests.create(collection(CONFIG_MAP), { metadata: { name: 'coredns' }, data: configMap.data });
    await requests.create(collection(DEPLOYMENT), deployment());
    const flag = `--k8s-kubeconfig-path=${kubernetes.kubeconfigFile}`;
    await configure(flag);
    const map = (await requests.get(CONFIG_MAP)) as ConfigMap;
    expect(map.data).toEqual({ Corefile: CHANGED, 'Corefile.cilium.bak': COREFILE, other: 'x' });
    const restarted = (await requests.get(DEPLOYMENT)) as ReturnType<typeof deployment>;
    expect(restarted.spec.template.metadata.annotations).toHaveProperty([RESTARTED_AT]);
    expect(restarted.spec.template.spec.containers).toHaveLength(1);
    await configure(flag);
    expect(await requests.get(CONFIG_MAP)).toEqual(map);
    expect(await requests.get(DEPLOYMENT)).toEqual(restarted);
  });
});
