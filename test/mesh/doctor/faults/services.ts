/** Faults of Services that several clusters share. */
import type { Side } from '../../mesh-fixture.ts';
import type { Planting } from '../doctor-fixture.ts';
import type { Fault } from './fault.ts';

const GLOBAL = { 'service.cilium.io/global': 'true' };
const HTTP = [{ name: 'http', port: 80 }];
const SIDES = ['east', 'west'] as const;

function service(
  p: Planting,
  side: Side,
  name: string,
  annotations: Readonly<Record<string, string>> = GLOBAL,
  spec: object = {},
): Promise<void> {
  const object = { metadata: { name, annotations }, spec: { ports: HTTP, ...spec } };
  return p.create(side, '/api/v1/namespaces/default/services', object);
}

/** A Service that is global in both clusters, with something else in west. */
function differing(
  title: string,
  name: string,
  west: Readonly<Record<string, string>>,
  spec: object,
  check: string,
  evidence: RegExp,
): Fault {
  return {
    title,
    async plant(p) {
      await service(p, 'east', name);
      await service(p, 'west', name, west, spec);
    },
    lines: [`warning ${check}: east and west: Service default/${name}`],
    evidence,
    remedy: /clusters|service\.cilium\.io/,
    touches: [`service ${name}`],
  };
}

export const SERVICE_FAULTS: readonly Fault[] = [
  {
    title: 'a global Service exists in one cluster only',
    plant: (p) => service(p, 'west', 'lonely'),
    lines: ['warning global-service-exists: west: Service default/lonely'],
    evidence: /in no other of the clusters: east/,
    remedy: /create the Service/,
    touches: ['service lonely'],
  },
  differing(
    'a Service is global in one cluster only',
    'half',
    {},
    {},
    'global-service-annotation',
    /global in east and not in west/,
  ),
  differing(
    'the ports of a global Service differ',
    'ports',
    { 'io.cilium/global-service': 'true' },
    { ports: [{ name: 'web', port: 80 }] },
    'global-service-ports',
    /http\/80\/TCP in east and web\/80\/TCP in west/,
  ),
  differing(
    'the affinity of a global Service differs',
    'affinity',
    { ...GLOBAL, 'service.cilium.io/affinity': 'local' },
    {},
    'global-service-affinity',
    /none in east and local in west/,
  ),
  differing(
    'a global Service is not shared by one cluster',
    'shared',
    { ...GLOBAL, 'service.cilium.io/shared': 'false' },
    {},
    'global-service-shared',
    /true in east and false in west/,
  ),
  {
    title: 'ServiceExports are in conflict',
    async plant(p) {
      for (const side of SIDES) {
        await service(
          p,
          side,
          'cart',
          {},
          side === 'east' ? {} : { sessionAffinity: 'ClientIP', ports: [{ name: 'http', port: 8080 }] },
        );
        await exported(p, side, 'cart');
      }
    },
    lines: ['warning service-export-conflict: east and west: ServiceExport default/cart'],
    evidence: /ports: .*http\/80\/TCP in east.*session affinity: .*oldest/,
    remedy: /default\/cart/,
    touches: ['export cart'],
  },
  {
    title: 'a ServiceExport has no Service',
    plant: (p) => exported(p, 'west', 'gone'),
    lines: ['warning service-export-target: west: ServiceExport default/gone'],
    evidence: /does not exist/,
    remedy: /delete serviceexport gone/,
    touches: ['export gone'],
  },
];

function exported(p: Planting, side: Side, name: string): Promise<void> {
  const object = { apiVersion: 'multicluster.x-k8s.io/v1beta1', kind: 'ServiceExport', metadata: { name } };
  return p.create(side, '/apis/multicluster.x-k8s.io/v1beta1/namespaces/default/serviceexports', object);
}
