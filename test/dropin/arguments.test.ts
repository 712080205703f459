/** Every argument and variable of the containers of Cilium's charts is one that the program takes, or etcd. */
import { afterAll, describe, expect, test } from 'vitest';
import { apiserverFlagTable } from '../../src/apiserver/flags.ts';
import { etcdinitFlagTable } from '../../src/etcdinit/flags.ts';
import { kvstoremeshConfig, kvstoremeshFlagTable } from '../../src/kvstoremesh/flags.ts';
import { parseKvstoreOptions } from '../../src/shared/flags/kvstore-options.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';
import type { FlagTable } from '../../src/shared/flags/table.ts';
import { CertificateIssuer } from '../support/cilium-chart/certificates.ts';
import { ciliumChartObjects } from '../support/cilium-chart/chart.ts';
import type { ChartContainer } from '../support/cilium-chart/kinds.ts';
import { isFrom, VERSIONS } from '../support/cilium-chart/versions.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import type { KubeObject } from '../support/kube-object.ts';
import { runChild } from '../support/processes/child.ts';
import { opensslMissing } from '../support/tls/certificates.ts';
import { matrix } from './matrix.ts';
import { argumentsOf, environmentOf } from './pod/environment.ts';
import { podOfChart } from './pod/pod.ts';

const missing = opensslMissing();
// IPv4 in the brackets of the older charts is taken by the etcd of the image only: test/dropin/pod.test.ts.
const POD = { 'metadata.uid': '0f1e2d3c', 'status.podIP': 'fd00:10:244::7' };

/** With which the parser of the program reads the words of the container, and its variables. */
function parsed<Table extends FlagTable>(table: Table, container: ChartContainer, objects: readonly KubeObject[]) {
  const environment = environmentOf(container, objects, POD);
  const [, ...words] = argumentsOf(container, environment);
  const flags = parseFlags(table, words, environment);
  if (flags === 'help') throw new Error('no flags');
  return flags;
}

describe.skipIf(missing !== undefined)(`arguments of Cilium's charts${missing === undefined ? '' : ` (${missing})`}`, () => {
  const issuer = new CertificateIssuer();
  const rows = matrix(issuer).map(({ name, options }) => {
    const objects = ciliumChartObjects(options);
    const { initContainers = [], containers } = podOfChart(objects);
    return { name, options, objects, containers: [...initContainers, ...containers] };
  });
  const named = (wanted: string) =>
    rows.flatMap((row) => row.containers.filter(({ name }) => name === wanted).map((container) => ({ ...row, container })));

  afterAll(() => issuer[Symbol.dispose]());

  test('every release has each of the containers', () => {
    for (const name of ['etcd-init', 'etcd', 'apiserver', 'kvstoremesh'])
      expect([...new Set(named(name).map(({ options }) => options.version))].sort()).toEqual(VERSIONS);
  });

  test('etcdinit takes them, with the name of the cluster from its variable', () => {
    for (const { container, objects } of named('etcd-init'))
      expect(parsed(etcdinitFlagTable, container, objects)).toMatchObject({
        values: { clusterName: 'east' },
        inert: [],
        remarks: [],
      });
  });

  test('clustermesh takes them', () => {
    for (const { name, options, container, objects } of named('apiserver')) {
      const { values, inert, remarks } = parsed(apiserverFlagTable, container, objects);
      expect({ values, inert, remarks }, name).toMatchObject({
        values: {
          clusterName: 'east',
          clusterId: 1,
          maxConnectedClusters: options.maxConnectedClusters ?? 255,
          clustermeshEnableMcsApi: options.mcsapi ?? false,
          enableCiliumEndpointSlice: options.ciliumEndpointSlice ?? false,
        },
        inert: [],
        remarks: [],
      });
      expect(values.enableExternalWorkloads, name).toBe(isFrom(options.version, '1.18') ? undefined : false);
      expect(parseKvstoreOptions(values.kvstoreOpt), name).toMatchObject({ etcdConfigPath: '/var/lib/cilium/etcd-config.yaml' });
    }
  });

  test('kvstoremesh takes them', () => {
    for (const { name, options, container, objects } of named('kvstoremesh')) {
      const { values, inert, remarks } = parsed(kvstoremeshFlagTable, container, objects);
      expect({ inert, remarks }, name).toEqual({ inert: [], remarks: [] });
      expect(kvstoremeshConfig(values), name).toMatchObject({
        own: { name: 'east', id: 1 },
        directory: '/var/lib/cilium/clustermesh',
        writesHeartbeat: options.externalKvstore !== undefined,
      });
    }
  });

  /** Those that an image can have; agents of 1.15 need 3.5. */
  const ofImages = etcdVersions().filter(({ minor }) => ['3.5', '3.6', '3.7'].includes(minor));
  test.each(ofImages)('etcd $version takes them', async ({ minor, path }) => {
    const lines = new Set<string>();
    for (const { options, container, objects } of named('etcd')) {
      if ((minor === '3.5') !== (options.version === '1.15')) continue;
      lines.add(JSON.stringify(argumentsOf(container, environmentOf(container, objects, POD))));
    }
    for (const line of lines) {
      const { status, stderr } = await runChild(path, [...(JSON.parse(line) as string[]), '--version']);
      expect({ status, stderr }, line).toEqual({ status: 0, stderr: '' });
    }
    expect((await runChild(path, ['--no-such-flag', '--version'])).status).not.toBe(0);
  });
});
