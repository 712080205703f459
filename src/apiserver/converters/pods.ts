/**
 * Pods → one key per address below `cilium/state/ip/v1/default/`.
 *
 * Both kinds with pods, CiliumEndpoint and CiliumEndpointSlice, are converted to this form. Several objects may
 * claim one address; `key-claims.ts` selects the one that is published.
 */
import type {
  AddressPair,
  EndpointNamedPort,
  EndpointNetworking,
  GoList,
  ObjectMeta,
  WideInteger,
} from '../../shared/kubernetes/objects/types.ts';
import { JSON_NULL, type Json, jsonInteger, jsonList, jsonStruct, jsonText } from '../encoding/go-json.ts';
import { canonicalAddress } from '../encoding/ip.ts';
import { type Cluster, type Entry, ipKey } from '../encoding/keyspace.ts';
import { type Conversion, isPort, lowBits, quoted, WITHHELD } from './conversion.ts';
import { Repeated } from './repeated.ts';

/** A pod as it is kept: flat, because there are a hundred thousand of them. */
export interface Pod {
  readonly name: string;
  /** As the agent wrote them. */
  readonly addresses: readonly string[];
  /** The address of the pod's node; empty where unknown. */
  readonly nodeAddress: string;
  /** 32 bits. */
  readonly identity: number;
  /** 8 bits. */
  readonly encryptionKey: number;
  readonly serviceAccount: string;
  readonly namedPorts: GoList<EndpointNamedPort>;
}

/** The pods of one object. */
export interface Pods {
  readonly namespace: string;
  /** Creation time of the object in milliseconds; 0 if absent. */
  readonly createdMs: number;
  readonly pods: readonly Pod[];
  /** Whether the labels of the object are selected; absent where it has none, and where nothing is selected by labels. */
  readonly isSelected?: boolean;
}

/** The fields that both kinds with pods have. */
interface PodFields {
  readonly networking?: EndpointNetworking;
  readonly encryption?: { readonly key?: WideInteger };
  readonly 'service-account'?: string;
  readonly 'named-ports'?: GoList<EndpointNamedPort>;
}

const texts = new Repeated<string>();
const portLists = new Repeated<readonly EndpointNamedPort[]>();

/** A pod as it is kept. What many pods have in common is kept once. `identity` is cut to 32 bits. */
export function podOf(name: string, identity: WideInteger | undefined, fields: PodFields): Pod {
  const { networking = {}, encryption = {}, 'service-account': account = '', 'named-ports': ports = null } = fields;
  const { addressing = null, node = '' } = networking;
  return {
    name,
    addresses: addressesOf(addressing),
    nodeAddress: texts.first(node, node),
    identity: lowBits(identity ?? 0, 32),
    encryptionKey: lowBits(encryption.key ?? 0, 8),
    serviceAccount: texts.first(account, account),
    namedPorts: ports && portLists.first(JSON.stringify(ports), ports),
  };
}

/** All addresses of the pairs, the IPv4 address of each first. */
function addressesOf(pairs: GoList<AddressPair>): string[] {
  const addresses = (pairs ?? []).flatMap(({ ipv4 = '', ipv6 = '' }) => [ipv4, ipv6]).filter((text) => text !== '');
  // A list that has grown has room for 17 values; a copy of it has none to spare.
  return addresses.slice();
}

/** The creation time of an object. Kubernetes has a resolution of seconds. */
export function createdMsOf({ creationTimestamp = '' }: ObjectMeta): number {
  return Date.parse(creationTimestamp) || 0;
}

/**
 * What the pods export. A key occurs twice where two pods of an object have one address: the last one holds. Addresses of pods that
 * are not exported are withheld.
 */
export function convertPods(
  cluster: Cluster,
  { namespace, pods }: Pods,
  isExported: (pod: Pod) => boolean = () => true,
): Conversion {
  const rejected: string[] = [];
  const entries = pods.flatMap((pod) =>
    isExported(pod) ? podEntries(cluster, namespace, pod, rejected) : withheldEntries(cluster, pod),
  );
  return { entries, rejected };
}

function withheldEntries(cluster: Cluster, { addresses }: Pod): Entry[] {
  return addresses.flatMap((text) => {
    const address = canonicalAddress(text);
    return address === undefined ? [] : { key: ipKey(cluster, address), value: WITHHELD };
  });
}

/**
 * A pod that is still being created has no addresses. One that can't be parsed is skipped: upstream writes it as
 * the key `<nil>`, shared by all such pods, which no reader can use.
 */
function podEntries(cluster: Cluster, namespace: string, pod: Pod, rejected: string[]): Entry[] {
  if (pod.addresses.length === 0) return [];
  const host = hostAddress(pod, rejected);
  const ports = namedPortsJson(pod, rejected);
  return pod.addresses.flatMap((text) => {
    const address = canonicalAddress(text);
    if (address !== undefined) {
      return { key: ipKey(cluster, address), value: Buffer.from(addressJson(namespace, pod, { address, host, ports })) };
    }
    rejected.push(`${pod.name}: networking.addressing: ${quoted(text)} is not an address`);
    return [];
  });
}

/** The node's address, of either family, independent of the family of the pod's. */
function hostAddress(pod: Pod, rejected: string[]): string {
  const host = canonicalAddress(pod.nodeAddress);
  if (host === undefined && pod.nodeAddress !== '') {
    rejected.push(`${pod.name}: networking.node: ${quoted(pod.nodeAddress)} is not an address`);
  }
  return host ?? '';
}

interface PodAddress {
  readonly address: string;
  readonly host: string;
  readonly ports: Json | undefined;
}

function addressJson(namespace: string, pod: Pod, { address, host, ports }: PodAddress): Json {
  return jsonStruct({
    IP: jsonText(address),
    Mask: JSON_NULL,
    HostIP: jsonText(host),
    ID: jsonInteger(pod.identity),
    Key: jsonInteger(pod.encryptionKey),
    Metadata: jsonText(''),
    K8sNamespace: textOrOmitted(namespace),
    K8sPodName: textOrOmitted(pod.name),
    K8sServiceAccount: textOrOmitted(pod.serviceAccount),
    NamedPorts: ports,
  });
}

/**
 * Names and protocols are copied unchecked, and port 0 passes. A number that is no port is left out with its name: upstream
 * cannot decode such an endpoint, and then sees no change of any endpoint until this one is gone.
 */
function namedPortsJson({ name: pod, namedPorts }: Pod, rejected: string[]): Json | undefined {
  const ports = (namedPorts ?? []).flatMap(({ name = '', port = 0, protocol = '' }) => {
    if (isPort(port)) return jsonStruct({ Name: jsonText(name), Port: jsonInteger(port), Protocol: jsonText(protocol) });
    rejected.push(`${pod}: named-ports: ${port} of ${quoted(name)} is not a port`);
    return [];
  });
  return ports.length === 0 ? undefined : jsonList(ports);
}

function textOrOmitted(text: string): Json | undefined {
  return text === '' ? undefined : jsonText(text);
}
