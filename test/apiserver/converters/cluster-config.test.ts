import { expect, test } from 'vitest';
import { convertClusterConfig } from '../../../src/apiserver/converters/cluster-config.ts';

const east = { name: 'east', id: 7 };

test.each([
  [
    { maxConnectedClusters: 255, serviceExportsEnabled: false, servicesExported: true },
    '{"id":7,"capabilities":{"syncedCanaries":true,"maxConnectedClusters":255,"serviceExportsEnabled":false,"endpointSlicesExportMode":"services-and-endpointslices"}}',
  ],
  [
    { maxConnectedClusters: 511, serviceExportsEnabled: true, servicesExported: false },
    '{"id":7,"capabilities":{"syncedCanaries":true,"maxConnectedClusters":511,"serviceExportsEnabled":true,"endpointSlicesExportMode":"endpointslices-only"}}',
  ],
])('settings %j are published to peers', (settings, text) => {
  const { key, value } = convertClusterConfig(east, settings);
  expect([key, Buffer.from(value).toString()]).toEqual(['cilium/cluster-config/east', text]);
});
