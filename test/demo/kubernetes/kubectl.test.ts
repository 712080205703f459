/**
 * kubectl against the embedded API: what a visitor of the demo types.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type EmbeddedKubernetes, startEmbeddedKubernetes } from '../../../demo/kubernetes/embedded-kubernetes.ts';
import { type Kubectl, kubectl, kubectlMissing } from '../../support/kubernetes/kubectl.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const missing = kubectlMissing();

describe.skipIf(missing !== undefined)(`kubectl${missing === undefined ? '' : ` (${missing})`}`, () => {
  const directory = temporaryDirectory('kubectl-test');
  const kubeconfig = join(directory, 'kubeconfig');
  const manifest = join(directory, 'web.yaml');
  let kubernetes: EmbeddedKubernetes;
  let cli: Kubectl;
  const run = async (command: string) => (await cli.run(...command.split(' '))).trim();
  const field = (path: string, object = 'svc/web') => cli.run('get', ...object.split(' '), `-o=jsonpath={${path}}`);

  beforeAll(async () => {
    kubernetes = await startEmbeddedKubernetes();
    writeFileSync(kubeconfig, kubernetes.kubeconfig);
    cli = kubectl(kubeconfig);
  });

  afterAll(async () => {
    cli?.[Symbol.dispose]();
    await kubernetes?.stop();
  });

  beforeEach(async () => {
    await run('delete svc,endpointslices,pods,ciliumnodes --all --now');
    writeManifest('[{name: http, port: 80}]');
  });

  const writeManifest = (ports: string) =>
    writeFileSync(
      manifest,
      `apiVersion: v1\nkind: Service\nmetadata: {name: web, labels: {app: web}}\nspec:\n  clusterIP: 10.96.7.7\n  selector: {app: web}\n  ports: ${ports}\n`,
    );

  test('applies, changes, and deletes a service', async () => {
    expect(await run(`apply -f ${manifest}`)).toBe('service/web created');
    expect(await run(`apply -f ${manifest}`)).toBe('service/web unchanged');
    writeManifest('[{name: http, port: 8080}, {name: tls, port: 443}]');
    expect(await run(`apply -f ${manifest}`)).toBe('service/web configured');
    expect(await field('.spec.ports[*].port')).toBe('8080 443');
    expect(await run(`delete -f ${manifest}`)).toContain('service "web" deleted');
    await expect(run('get svc web')).rejects.toThrow('services "web" not found');
  });

  test('applies and changes a custom resource', async () => {
    const writeNode = (spec: string) =>
      writeFileSync(manifest, `apiVersion: cilium.io/v2\nkind: CiliumNode\nmetadata: {name: a}\nspec: ${spec}\n`);
    writeNode('{bootid: x, addresses: [{ip: 10.0.0.1}]}');
    expect(await run(`apply -f ${manifest}`)).toBe('ciliumnode.cilium.io/a created');
    writeNode('{addresses: [{ip: 10.0.0.2}]}');
    expect(await run(`apply -f ${manifest}`)).toBe('ciliumnode.cilium.io/a configured');
    expect(await field('.spec', 'cn a')).toBe('{"addresses":[{"ip":"10.0.0.2"}]}');
  });

  test('is told that there is no server-side apply, no JSON patch and no dry run, and nothing is changed', async () => {
    await run(`apply -f ${manifest}`);
    await expect(run(`apply --server-side -f ${manifest}`)).rejects.toThrow('merge patches');
    await expect(run('patch svc web --type=json -p []')).rejects.toThrow('merge patches');
    writeManifest('[{name: http, port: 8080}]');
    await expect(run(`apply --dry-run=server -f ${manifest}`)).rejects.toThrow('a dry run is not supported');
    expect(await field('.spec.ports[*].port')).toBe('80');
  });

  test('labels, annotates and patches', async () => {
    await run(`apply -f ${manifest}`);
    await run('annotate svc web service.cilium.io/global=true');
    await run('annotate svc web service.cilium.io/global- service.cilium.io/shared=false');
    await run('label svc web tier=front app-');
    await run('patch svc web -p {"spec":{"ports":[{"port":80,"targetPort":8080}]}}');
    expect(await field('.metadata.labels')).toBe('{"tier":"front"}');
    expect(await field('.metadata.annotations.service\\.cilium\\.io/shared')).toBe('false');
    expect(await field('.spec.ports[0].targetPort')).toBe('8080');
  });

  test('prints tables, wide ones, and selections', async () => {
    await run(`apply -f ${manifest}`);
    expect(await run('get svc -A --no-headers')).toMatch(/^default\s+web\s+ClusterIP\s+10\.96\.7\.7\s+<none>\s+80\/TCP\s+\d+s$/);
    expect(await run('get svc -o wide')).toContain('app=web');
    expect(await run('get svc -l app=web,!tier -o name')).toBe('service/web');
    expect(await run('get svc --field-selector metadata.name=other -o name')).toBe('');
    expect(await run('get ns,crd -o name')).toContain('customresourcedefinition.apiextensions.k8s.io/ciliumnodes.cilium.io');
    expect(await run('get cn,ciliumid,cep,ces,serviceexports -A')).toContain('');
  });

  test('watches until it has seen what it waits for', async () => {
    const waiting = run('wait --for=create svc/web --timeout=20s');
    await run(`apply -f ${manifest}`);
    expect(await waiting).toContain('service/web condition met');
    // Returns when its own watch has seen the object go.
    expect(await run('delete svc web --timeout=20s')).toContain('"web" deleted');
    await expect(run('get svc web')).rejects.toThrow('NotFound');
  });

  test('creates and deletes pods and namespaces', async () => {
    expect(await run('run one --image=example.org/x')).toBe('pod/one created');
    expect(await run('get pods --no-headers')).toMatch(/^one\s+0\/1\s+Pending/);
    expect(await run('delete pod one')).toContain('pod "one" deleted');
    writeFileSync(manifest, 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n');
    expect(await run(`create -f ${manifest}`)).toBe('namespace/shop created');
    await expect(run('create namespace other')).rejects.toThrow('kubectl create -f');
    expect(await run('delete namespace shop')).toContain('namespace "shop" deleted');
  });
});
