/** `enable` and `connect --helm`: values by the facts about a cluster, and a helm that records how it is called. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { reportText } from '../../src/mesh/connect/report-text.ts';
import { enableFlagTable } from '../../src/mesh/flags.ts';
import { HelmError } from '../../src/mesh/helm.ts';
import { enable, enableText } from '../../src/mesh/verbs/enable.ts';
import { enableValues, exposureOf, identityProblem } from '../../src/mesh/verbs/enable-values.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';
import { providerMissing } from '../support/kubernetes/kubernetes-provider.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { HELM, type Mesh, meshFixture } from './mesh-fixture.ts';

const EAST = { name: 'east', id: 1, maxConnectedClusters: 255 };

const nodes = (...providers: readonly string[]) => providers.map((providerID) => ({ spec: { providerID } }));

test.each([
  ['gce://project/zone/node', 'LoadBalancer', 'gke'],
  ['azure:///subscriptions/x', 'LoadBalancer', 'aks'],
  ['aws:///eu-west-1a/i-1', 'LoadBalancer', 'eks'],
  ['kind://podman/east/east-worker', 'NodePort', undefined],
  ['', 'NodePort', undefined],
])('nodes of %j get a Service of type %s', (provider, type, cloud) => {
  expect(exposureOf(nodes(provider), '')).toMatchObject({
    type,
    cloud,
    warning: type === 'NodePort' ? expect.stringContaining('nodes are replaced') : '',
  });
});

test('the values have the annotations of the cloud, and a given type wins', () => {
  const gke = exposureOf(nodes('gce://x'), '');
  expect(enableValues('cilium', EAST, gke)).toMatchObject({
    clustermesh: {
      useAPIServer: true,
      apiserver: { service: { annotations: { 'networking.gke.io/load-balancer-type': 'Internal' } } },
    },
  });
  expect(enableValues('clustermesh-apiserver', EAST, gke)).toEqual({
    cluster: { name: 'east', id: 1 },
    service: { type: 'LoadBalancer', cloud: 'gke' },
  });
  const service = exposureOf(nodes('gce://x'), 'ClusterIP');
  expect(enableValues('cilium', EAST, service)).toMatchObject({ clustermesh: { apiserver: { service: { type: 'ClusterIP' } } } });
});

test.each([
  [{ ...EAST, name: 'default' }, 'set cluster.name and cluster.id'],
  [{ ...EAST, id: 0 }, 'the cluster has the ID 0; allowed: 1 to 255'],
  [{ ...EAST, id: 256 }, 'allowed: 1 to 255'],
  [{ ...EAST, id: Number.NaN }, 'allowed: 1 to 255'],
])('%j is refused with the remedy', (identity, problem) => {
  expect(identityProblem(identity)).toContain(problem);
  expect(identityProblem(EAST)).toBeUndefined();
});

const missing = providerMissing('real');

describe.skipIf(missing !== undefined)(`enable${missing === undefined ? '' : ` (${missing})`}`, { timeout: 60_000 }, () => {
  const meshes = meshFixture();

  afterEach(() => vi.unstubAllEnvs());

  function run(mesh: Mesh, ...argv: readonly string[]) {
    const parsed = parseFlags(enableFlagTable, mesh.argv(...argv), {});
    if (parsed === 'help') throw new Error('it was not asked for help');
    return enable(parsed.values, { signal: AbortSignal.timeout(60_000) });
  }

  /** Its directory has what it received. */
  function recordingHelm(listed: string, values: object = {}): string {
    const directory = temporaryDirectory('helm');
    const script = `#!/bin/sh\nif [ "$1" = list ]; then echo '${listed}'; elif [ "$1" = get ]; then echo '${JSON.stringify(values)}'; else printf '%s\\n' "$@" > ${directory}/argv; cat > ${directory}/values; fi\n`;
    writeFileSync(join(directory, 'helm'), script, { mode: 0o755 });
    vi.stubEnv('PATH', `${directory}:${process.env.PATH}`);
    return directory;
  }

  test('prints the values and the command, and changes nothing', async () => {
    const mesh = await meshes.installed();
    const directory = recordingHelm('[]');
    const text = enableText(await run(mesh));
    expect(text).toContain('# Service of type NodePort (the nodes name no known cloud)\n# warning: ');
    expect(text).toContain('clustermesh:\n  useAPIServer: true\n');
    expect(() => readFileSync(join(directory, 'argv'))).toThrow('ENOENT');
  });

  test('upgrades the release with helm, in its version', async () => {
    const mesh = await meshes.installed();
    const directory = recordingHelm('[{"name":"cilium","chart":"cilium-1.19.4"}]');
    expect(await run(mesh, '--helm', '--service-type=LoadBalancer')).toMatchObject({ applied: true });
    const argv = readFileSync(join(directory, 'argv'), 'utf8').split('\n');
    expect(argv).toEqual(
      expect.arrayContaining(['upgrade', 'cilium', '--version=1.19.4', '--reuse-values', '--values=-', '--kube-context=east']),
    );
    expect(readFileSync(join(directory, 'values'), 'utf8')).toContain('type: LoadBalancer');
  });

  test('connect --helm adds the cluster to those that the release has', async () => {
    const mesh = await meshes.installed();
    for (const name of ['cilium-kvstoremesh', 'cilium-clustermesh'])
      await mesh.create('east', 'secrets', { metadata: { name, ...HELM } });
    const north = { name: 'north', ips: ['192.0.2.31'], port: 2379 };
    const directory = recordingHelm('[{"name":"cilium","chart":"cilium-1.19.4"}]', {
      clustermesh: { config: { clusters: [north] } },
    });
    await mesh.withNodePort('west', async () => {
      const report = await mesh.connect('--helm');
      expect(report.verdict).toBe('done');
      expect(reportText(report)).toContain('cilium-kvstoremesh: changed by helm upgrade (set west)');
    });
    const west = { name: 'west', ips: ['192.0.2.21', '192.0.2.22'], port: 32_380 };
    expect(parse(readFileSync(join(directory, 'values'), 'utf8'))).toEqual({
      clustermesh: { config: { enabled: true, clusters: [north, west] } },
    });
    expect(await mesh.entries('east', 'cilium-kvstoremesh')).toEqual({});
  });

  test('says so where there is no release or no helm', async () => {
    const mesh = await meshes.installed();
    recordingHelm('[]');
    await expect(run(mesh, '--helm')).rejects.toThrow('there is no release cilium in namespace');
    vi.stubEnv('PATH', temporaryDirectory('empty'));
    await expect(run(mesh, '--helm')).rejects.toBeInstanceOf(HelmError);
  });
});
