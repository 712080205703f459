/** Objects as from an attacker or a bug: some fields have invalid values. */
import fc from 'fast-check';

/** Texts that have caused bugs in other programs. */
const text = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.constantFrom('10.0.0.1', 'fd00::1', '::ffff:1.2.3.4', '10.0.0.0/8', 'fd00::/64', 'IPv4', 'TCP', 'web', 'shop'),
  },
  {
    weight: 20,
    arbitrary: fc.constantFrom(
      ...['', ' ', '/', '..', '../../cluster-config/east', '\0', '\n', '\u2028', '\ud800', '\udfff\ud800', '<&>', ';', '=', ':'],
      ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'length', 'None', 'null', '<nil>'],
      ...['8080', '0', '-1', '007', '1e999', '99999999999999999999'],
      ...['x', '10.0.0.0/33', '010.0.0.1', '1.2.3', 'fe80::1%eth0', ':::', '::/129', '::ffff:10.0.0.0/104', '0/0'],
    ),
  },
  { weight: 10, arbitrary: fc.string({ unit: 'grapheme', maxLength: 20 }) },
  { weight: 1, arbitrary: fc.constant('long'.repeat(50_000)) },
);
const number = fc.oneof(
  { weight: 30, arbitrary: fc.oneof(fc.integer(), fc.constantFrom(-1, -0, 0, 255, 256, 2 ** 32, Number.MAX_SAFE_INTEGER)) },
  { weight: 1, arbitrary: fc.oneof(fc.constantFrom(2 ** 53, 1e308, 0.5), fc.double()) },
);

const nested = (depth: number, wrap: (inner: unknown) => unknown) =>
  Array.from({ length: depth }).reduce<unknown>((inner) => wrap(inner), null);

const junk = fc.oneof(
  { weight: 20, arbitrary: fc.oneof(text, number, fc.boolean(), fc.constantFrom<unknown>(null, [], {}, [null], [[]], { 0: 0 })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(
      nested(1_000, (inner) => [inner]),
      nested(1_000, (inner) => ({ name: inner })),
      Array.from({ length: 5_000 }, (_, index) => index),
    ),
  },
);

/** What a field should hold, and now and then something else. */
const mostly = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 40, arbitrary: arbitrary as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: junk });
const list = (item: fc.Arbitrary<unknown>) => mostly(fc.array(item, { maxLength: 4 }));
const map = mostly(fc.dictionary(text, mostly(text), { maxKeys: 5, noNullPrototype: true }));
const object = (fields: Record<string, fc.Arbitrary<unknown>>) => mostly(fc.record(fields, { requiredKeys: [] }));

const metadata = mostly(
  fc.record({ name: mostly(text), namespace: mostly(text), labels: map, annotations: map, creationTimestamp: mostly(text) }),
);
const ports = list(object({ name: text, protocol: text, port: number, appProtocol: text }));
const pair = object({ ipv4: mostly(text), ipv6: mostly(text) });
const pod = {
  name: text,
  id: number,
  identity: object({ id: number }),
  networking: object({ node: text, addressing: list(pair) }),
  encryption: object({ key: number }),
  'service-account': text,
  'named-ports': ports,
};

type Fields = Readonly<Record<string, fc.Arbitrary<unknown>>>;

/** The fields of each kind besides those that every object has. */
const FIELDS = {
  CiliumNode: {
    spec: object({
      addresses: list(object({ type: text, ip: text })),
      ipam: object({ podCIDRs: list(text), pools: object({ allocated: list(object({ pool: text, cidrs: list(text) })) }) }),
      health: pair,
      ingress: pair,
      encryption: object({ key: number }),
      bootid: text,
    }),
  },
  CiliumIdentity: { 'security-labels': map },
  CiliumEndpoint: { status: object(pod) },
  CiliumEndpointSlice: { namespace: mostly(text), endpoints: list(object(pod)) },
  Service: {
    spec: object({
      type: text,
      clusterIP: text,
      clusterIPs: list(text),
      ports,
      selector: map,
      ipFamilies: list(text),
      sessionAffinity: text,
      sessionAffinityConfig: object({ clientIP: object({ timeoutSeconds: number }) }),
      internalTrafficPolicy: text,
      trafficDistribution: text,
    }),
  },
  EndpointSlice: {
    addressType: mostly(text),
    ports,
    endpoints: list(
      object({
        addresses: list(text),
        conditions: object({ ready: fc.boolean(), serving: fc.boolean(), terminating: fc.boolean() }),
        hostname: text,
        deprecatedTopology: map,
        nodeName: text,
        zone: text,
        hints: object({ forZones: list(object({ name: text })) }),
      }),
    ),
  },
  ServiceExport: { spec: object({ exportedLabels: map, exportedAnnotations: map }) },
} as const satisfies Readonly<Record<string, Fields>>;

export type HostileKind = keyof typeof FIELDS;

export const HOSTILE_KINDS = Object.keys(FIELDS) as readonly HostileKind[];

const fieldsOf = (kind: HostileKind): Fields => FIELDS[kind];

/** An object of the kind whose metadata are as bad as the rest. */
export function hostileObject(kind: HostileKind): fc.Arbitrary<unknown> {
  return fc.record({ metadata, ...fieldsOf(kind) });
}

/** Labels and annotations are as bad as the rest; the name is one that an API server would have let through. */
export function hostileNamedObject(kind: HostileKind, identity: fc.Arbitrary<object>): fc.Arbitrary<unknown> {
  const described = fc.tuple(identity, fc.record({ labels: map, annotations: map }));
  return fc.record({ metadata: described.map(([id, fields]) => ({ ...fields, ...id })), ...fieldsOf(kind) });
}

/** `value` as it comes from an API server: names like `__proto__` are then names like others. */
export function overTheWire(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}
