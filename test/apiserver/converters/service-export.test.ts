import { expect, test } from 'vitest';
import type { Conversion } from '../../../src/apiserver/converters/conversion.ts';
import { convertServiceExport } from '../../../src/apiserver/converters/service-export.ts';
import type { Service, ServiceExport } from '../../../src/shared/kubernetes/objects/types.ts';

const east = { name: 'east', id: 7 };
const metadata = { namespace: 'shop', name: 'web', creationTimestamp: '2026-02-03T04:05:06Z' };
const plain: Service['spec'] = {
  type: 'ClusterIP',
  clusterIP: '10.96.7.7',
  sessionAffinity: 'None',
  internalTrafficPolicy: 'Cluster',
};

function convert(spec: Service['spec'], exportSpec: ServiceExport['spec'] = {}) {
  const service: Service = {
    metadata: { namespace: 'shop', name: 'web', creationTimestamp: '2020-01-01T00:00:00Z' },
    spec: { ...plain, ...spec },
  };
  return texts(convertServiceExport(east, { metadata, spec: exportSpec }, service));
}

function texts({ entries }: Conversion) {
  return entries.map(({ key, value }) => [key, Buffer.from(value).toString()]);
}

test('a plain service has its fields in order, and the age of its export', () => {
  const spec = { ports: [{ name: 'http', protocol: 'TCP', port: 80 }, { port: 9 }], ipFamilies: ['IPv4', 'IPv6'] };
  expect(convert(spec)).toEqual([
    [
      'cilium/state/serviceexports/v1/east/shop/web',
      '{"cluster":"east","name":"web","namespace":"shop","exportCreationTimestamp":"2026-02-03T04:05:06Z",' +
        '"ports":[{"name":"http","protocol":"TCP","port":80},{"port":9}],"type":"ClusterSetIP","sessionAffinity":"None",' +
        '"ipFamilies":["IPv4","IPv6"],"internalTrafficPolicy":"Cluster"}',
    ],
  ]);
});

test('exported labels and annotations are written twice, under the names for older and newer readers', () => {
  const [[, text] = []] = convert({}, { exportedLabels: { b: '2', a: '1' }, exportedAnnotations: { note: '<x>' } });
  expect(text).toContain(
    String.raw`"namespace":"shop","annotations":{"note":"\u003cx\u003e"},"labels":{"a":"1","b":"2"},"Labels":{"a":"1","b":"2"},"Annotations":{"note":"\u003cx\u003e"},"exportCreationTimestamp"`,
  );
});

test('the traffic settings of a service are exported with it', () => {
  const [[, text] = []] = convert({
    clusterIP: 'None',
    ports: [{ name: 'h', protocol: 'TCP', appProtocol: 'http', port: 80 }],
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 99 } },
    internalTrafficPolicy: 'Local',
    trafficDistribution: 'PreferClose',
  });
  expect(text).toContain(
    '"ports":[{"name":"h","protocol":"TCP","appProtocol":"http","port":80}],"type":"Headless","sessionAffinity":"ClientIP",' +
      '"sessionAffinityConfig":{"clientIP":{"timeoutSeconds":99}},"internalTrafficPolicy":"Local","trafficDistribution":"PreferClose"}',
  );
});

test('a service without ports has an empty list of them', () => {
  expect(convert({ ports: null })[0]?.[1]).toContain('"ports":[],');
});

test('a service that is a name for something outside is not exported', () => {
  expect(convert({ type: 'ExternalName' })).toEqual([]);
});

test('a port or a time out of range is skipped and reported', () => {
  const spec = {
    ports: [
      { name: 'a', port: 2 ** 33 },
      { name: 'b', port: 80 },
    ],
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 2 ** 40 } },
  };
  const conversion = convertServiceExport(east, { metadata }, { metadata: { namespace: 'shop', name: 'web' }, spec });
  expect(texts(conversion)[0]?.[1]).toContain('"ports":[{"name":"b","port":80}],"type":"ClusterSetIP","sessionAffinity":""}');
  expect(conversion.rejected).toEqual([
    'spec.ports: 8589934592 of "a" is not a port',
    'spec.sessionAffinityConfig.clientIP.timeoutSeconds: 1099511627776 is not an integer of 32 bits',
  ]);
});

test.each([{}, { clientIP: null }, { clientIP: {} }])('session affinity %j, which states no time, is not exported', (config) => {
  expect(convert({ sessionAffinityConfig: config })[0]?.[1]).not.toContain('sessionAffinityConfig');
});
