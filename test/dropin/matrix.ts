/** Values of the chart in which every pair of settings, of the release among them, occurs where the release has both. */

import type { CertificateIssuer } from '../support/cilium-chart/certificates.ts';
import type { CiliumChartOptions } from '../support/cilium-chart/options.ts';
import { type CiliumVersion, isFrom, VERSIONS } from '../support/cilium-chart/versions.ts';
import { pairwise, type Row, type Switches } from '../support/pairwise.ts';

type Setting = Omit<Partial<CiliumChartOptions>, 'version'> & {
  readonly version?: CiliumVersion;
  readonly since?: CiliumVersion;
};

const SWITCHES: Switches<Setting> = {
  version: Object.fromEntries(VERSIONS.map((version) => [version, { version }])),
  authMode: {
    default: {},
    legacy: { authMode: 'legacy' },
    migration: { authMode: 'migration' },
    cluster: { authMode: 'cluster' },
  },
  mesh: { default: {}, on: { kvstoremesh: true }, off: { kvstoremesh: false } },
  kvstore: {
    internal: {},
    external: { kvstoremesh: true, externalKvstore: 'endpoints: [https://etcd.example.org:2379]\n', since: '1.18' },
  },
  peers: {
    none: {},
    addresses: { peers: [{ name: 'west', ips: ['192.0.2.1', '192.0.2.2'], port: 32_379 }] },
    names: { peers: [{ name: 'west', address: 'west.example.org', port: 2379 }] },
  },
  metrics: { on: {}, off: { metrics: false } },
  replicas: { one: {}, two: { replicas: 2 } },
  mcsapi: { off: {}, on: { mcsapi: true, since: '1.17' } },
  endpointSliceSync: { off: {}, on: { endpointSliceSync: true, since: '1.16' } },
  ciliumEndpointSlice: { off: {}, on: { ciliumEndpointSlice: true, since: '1.18' } },
  clusters: { 255: {}, 511: { maxConnectedClusters: 511 } },
  cacheTtl: { never: {}, hours: { cacheTtl: '24h', since: '1.19' } },
  namespaces: { global: {}, local: { defaultGlobalNamespace: false, since: '1.20' } },
  storage: { disk: {}, memory: { storageMedium: 'Memory', since: '1.16' } },
  debug: { off: {}, on: { debug: true } },
  service: { node: {}, balancer: { service: { type: 'LoadBalancer' } }, cluster: { service: { type: 'ClusterIP' } } },
};

/** Every row with its options, and its settings as a name. */
export function matrix(issuer: CertificateIssuer): readonly { readonly name: string; readonly options: CiliumChartOptions }[] {
  return pairwise(SWITCHES).map((row) => ({ name: JSON.stringify(row), options: optionsOf(row, issuer) }));
}

function optionsOf(row: Row, issuer: CertificateIssuer): CiliumChartOptions {
  const version = VERSIONS.find((each) => each === row.version) ?? '1.20';
  const settings = Object.entries(row)
    .flatMap(([name, setting]) => SWITCHES[name]?.[setting] ?? [])
    .filter(({ since = '1.15' }) => isFrom(version, since))
    .map(({ since: _, ...values }) => values);
  const fixed = { image: 'registry.test/clustermesh-apiserver:test', clusterName: 'east', clusterId: 1, issuer };
  return { ...fixed, ...Object.assign({}, ...settings), version };
}
