/** Where the etcd of a cluster is reached from outside, by its Service and its nodes. */
import { recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { addressKey } from '../../../shared/tls/address.ts';
import { recordsOf } from '../../addresses.ts';
import type { Member } from '../facts.ts';

/** Types of addresses of a CiliumNode at which it is reached. */
const NODE_TYPES = ['InternalIP', 'ExternalIP'];

export interface Reach {
  /** `address port`, see `placeOf`. */
  readonly places: ReadonlySet<string>;
  /** Node ports of the Service. */
  readonly nodePorts: readonly number[];
  readonly nodeAddresses: ReadonlySet<string>;
}

/** Undefined where the Service or the nodes could not be read, or do not exist. */
export function reachOf({ service, ciliumNodes }: Member): Reach | undefined {
  if (typeof service === 'string' || ciliumNodes === 'unread') return undefined;
  const { type, ports, clusterIPs, clusterIP, externalIPs, loadBalancerIP } = recordOf(service.spec);
  const [port] = recordsOf(ports);
  const servicePort = Number(port?.port ?? 2379);
  const nodePorts =
    type === 'NodePort' || type === 'LoadBalancer' ? [Number(port?.nodePort ?? 0)].filter((each) => each > 0) : [];
  const ingress = recordsOf(recordOf(recordOf(service.status).loadBalancer).ingress);
  const fixed = [clusterIPs ?? clusterIP, externalIPs, loadBalancerIP, ingress.map(({ ip }) => ip)].flat();
  const nodeAddresses = new Set(
    ciliumNodes.flatMap(({ spec }) =>
      recordsOf(recordOf(spec).addresses)
        .filter((each) => NODE_TYPES.includes(String(each.type)))
        .map(({ ip }) => addressKey(String(ip))),
    ),
  );
  const places = [
    ...fixed.filter((each) => typeof each === 'string').map((each) => placeOf(each, servicePort)),
    ...nodePorts.flatMap((nodePort) => [...nodeAddresses].map((each) => placeOf(each, nodePort))),
  ];
  return { places: new Set(places), nodePorts, nodeAddresses };
}

export function placeOf(address: string, port: number): string {
  return `${addressKey(address)} ${port}`;
}
