/** For each kind of rule: after any changes of keys and rules in any order, the mirror is what the rule imports of the remote. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FakeSession } from './fake-session.ts';
import { imported, KINDS, type Kind, type RuleText, slice } from './model.ts';

const NAMESPACES = ['shop', 'team-a', 'team-b', 'scratch', '', 'x'.repeat(64), 'größe'];
const PODS = ['10.8.0.1', '10.8.0.2', '10.9.0.1', '10.20.0.1', 'fd00::1', 'fd01::1', '::ffff:10.8.0.1', 'no-address'];
const NODES = ['172.16.0.1', '172.16.9.9', '192.168.0.1', 'fe00::1', ''];
const IDENTITIES = [458_753, 458_754, 458_755, 5, 0];
const BROKEN = ['', '{', '[]', 'null', '{"ID":"text","K8sNamespace":5,"IPAddresses":7,"backends":[]}'];

const namespace = fc.constantFrom(...NAMESPACES);
const pod = fc.constantFrom(...PODS);
const nodeAddress = fc.constantFrom(...NODES);
const broken = fc.constantFrom(...BROKEN);
const orBroken = (value: fc.Arbitrary<string>) => fc.oneof({ weight: 8, arbitrary: value }, { weight: 1, arbitrary: broken });
const json = (value: fc.Arbitrary<unknown>) => orBroken(value.map((content) => JSON.stringify(content)));

/** One that most rules let in. */
const PLAIN_ENDPOINT = fc.record({
  own: fc.constantFrom('10.8.0.1', '10.8.0.2'),
  value: fc.constantFrom(458_753, 458_754, 458_755).map((ID) => JSON.stringify({ ID, K8sNamespace: 'shop' })),
});

const KEYS: Readonly<Record<Kind, fc.Arbitrary<{ readonly own: string; readonly value: string }>>> = {
  nodes: fc.record({
    own: fc.constantFrom('n1', 'n2', 'n3'),
    value: json(
      fc.record(
        {
          IPAddresses: fc.array(
            fc.oneof(
              fc.record({ Type: fc.constantFrom('InternalIP', 'ExternalIP'), IP: nodeAddress }),
              fc.record({ IP: pod, Type: fc.constant('CiliumInternalIP') }),
            ),
            { maxLength: 2 },
          ),
          IPv4AllocCIDR: fc.constantFrom(
            null,
            { IP: '10.8.0.0', Mask: '////AA==' },
            { IP: '10.8.0.0', Mask: '/wAAAA==' },
            { IP: '10.20.0.0', Mask: '////AA==' },
          ),
          IPv4HealthIP: fc.constantFrom('', '10.8.0.7', '10.20.0.7'),
        },
        { requiredKeys: [] },
      ),
    ),
  }),
  identities: fc.record({
    own: fc.constantFrom(...IDENTITIES.map(String), 'none', '0458753'),
    value: fc.oneof(
      fc.constant('k8s:io.kubernetes.pod.namespace=shop;'),
      namespace.map((name) => `k8s:app=x;k8s:io.kubernetes.pod.namespace=${Buffer.from(name).toString('latin1')};`),
      fc.constantFrom('k8s:app=x;', '', 'k8s:xk8s:io.kubernetes.pod.namespace=shop;'),
    ),
  }),
  endpoints: fc.oneof(
    { weight: 3, arbitrary: PLAIN_ENDPOINT },
    fc.record({
      own: pod,
      value: json(
        fc.record(
          {
            IP: pod,
            ID: fc.constantFrom(...IDENTITIES),
            HostIP: nodeAddress,
            K8sNamespace: namespace.map((name) => Buffer.from(name).toString('latin1')),
          },
          { requiredKeys: [] },
        ),
      ),
    }),
  ),
  services: fc.record({
    own: fc.tuple(namespace, fc.constantFrom('a', 'b')).map(([name, own]) => `${name}/${own}`),
    value: json(
      fc.record({ backends: fc.dictionary(fc.oneof(pod, nodeAddress), fc.constant({}), { maxKeys: 2 }) }, { requiredKeys: [] }),
    ),
  }),
  endpointslices: fc.record({
    own: fc.tuple(namespace, fc.constantFrom('a', 'b')).map(([name, own]) => `${name}/${own}`),
    value: orBroken(fc.array(fc.oneof(pod, nodeAddress), { maxLength: 2 }).map(slice)),
  }),
  serviceexports: fc.record({ own: namespace.map((name) => `${name}/a`), value: fc.constantFrom('export', '') }),
};

const patterns = fc.uniqueArray(fc.constantFrom('shop', 'team-*', '*a*', '*', 'scratch', 's*h*'), { minLength: 1, maxLength: 2 });
const PARTS = {
  kinds: fc.record({ kinds: fc.subarray([...KINDS]) }),
  namespaces: fc.record({ namespaces: fc.record({ allow: patterns, deny: patterns }, { requiredKeys: [] }) }),
  podCIDRs: fc.record({ podCIDRs: fc.subarray(['10.8.0.0/15', '10.8.0.0/24', 'fd00::/32', '0.0.0.0/0'], { minLength: 1 }) }),
  nodeCIDRs: fc.record({ nodeCIDRs: fc.subarray(['172.16.0.0/16', '172.16.0.1/32', 'fe00::/8'], { minLength: 1 }) }),
  quota: fc.record({ quota: fc.constantFrom({ keys: 100_000 }, { bytes: '200Mi', changesPerSecond: 500 }) }),
} satisfies Readonly<Record<string, fc.Arbitrary<RuleText>>>;
const all = fc
  .record({ a: PARTS.kinds, b: PARTS.namespaces, c: PARTS.podCIDRs, d: PARTS.nodeCIDRs })
  .map(({ a, b, c, d }) => ({ ...a, ...b, ...c, ...d }));
const some = fc
  .record({ b: PARTS.namespaces, c: PARTS.podCIDRs, d: PARTS.nodeCIDRs })
  .map(({ b, c, d }) => ({ ...b, ...c, ...d }));

type Step =
  | { readonly step: 'put'; readonly kind: Kind; readonly own: string; readonly value: string }
  | { readonly step: 'delete'; readonly kind: Kind; readonly own: string }
  | { readonly step: 'rule'; readonly rule: RuleText | undefined }
  | { readonly step: 'list' | 'break' | 'confirm'; readonly kind: Kind }
  | { readonly step: 'connect' | 'settle' }
  | { readonly step: 'wait'; readonly ms: number };

function steps(rule: fc.Arbitrary<RuleText>): fc.Arbitrary<readonly Step[]> {
  const kind = fc.constantFrom<Kind>(...KINDS, 'endpoints', 'endpoints', 'identities', 'identities');
  const put = kind.chain((each) => KEYS[each].map(({ own, value }): Step => ({ step: 'put', kind: each, own, value })));
  const remove = kind.chain((each) => KEYS[each].map(({ own }): Step => ({ step: 'delete', kind: each, own })));
  const step = fc.oneof(
    { weight: 24, arbitrary: put },
    { weight: 8, arbitrary: remove },
    { weight: 3, arbitrary: fc.option(rule, { nil: undefined }).map((given): Step => ({ step: 'rule', rule: given })) },
    { weight: 12, arbitrary: fc.record({ step: fc.constantFrom('list' as const, 'break' as const, 'confirm' as const), kind }) },
    { weight: 2, arbitrary: fc.constantFrom<Step>({ step: 'connect' }, { step: 'settle' }) },
    {
      weight: 4,
      arbitrary: fc.constantFrom<Step>({ step: 'wait', ms: 0 }, { step: 'wait', ms: 6_000 }, { step: 'wait', ms: 61_000 }),
    },
  );
  return fc.tuple(rule, fc.array(step, { maxLength: 60 })).map(([first, others]) => [{ step: 'rule', rule: first }, ...others]);
}

async function perform(session: FakeSession, each: Step): Promise<void> {
  if (each.step === 'put') session.put(each.kind, each.own, each.value);
  else if (each.step === 'delete') session.delete(each.kind, each.own);
  else if (each.step === 'rule') session.setRule(each.rule);
  else if (each.step === 'list') session.list(each.kind);
  else if (each.step === 'break') session.list(each.kind, 1);
  else if (each.step === 'confirm') session.sections[each.kind].confirm();
  else if (each.step === 'connect') session.connect();
  else if (each.step === 'wait') await session.clock.advance(each.ms);
  else await session.settle();
}

/** Only what identities follow, with many listings that break off. */
const FOLLOWING: fc.Arbitrary<readonly Step[]> = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: PLAIN_ENDPOINT.map(({ own, value }): Step => ({ step: 'put', kind: 'endpoints', own, value })) },
      { weight: 3, arbitrary: PLAIN_ENDPOINT.map(({ own }): Step => ({ step: 'delete', kind: 'endpoints', own })) },
      {
        weight: 4,
        arbitrary: fc
          .constantFrom('458753', '458754', '458755')
          .map((own): Step => ({ step: 'put', kind: 'identities', own, value: 'k8s:io.kubernetes.pod.namespace=shop;' })),
      },
      {
        weight: 8,
        arbitrary: fc.record({
          step: fc.constantFrom('list' as const, 'break' as const, 'confirm' as const),
          kind: fc.constantFrom('endpoints' as const, 'identities' as const),
        }),
      },
      { weight: 2, arbitrary: fc.constantFrom<Step>({ step: 'connect' }, { step: 'wait', ms: 0 }, { step: 'wait', ms: 61_000 }) },
    ),
    { minLength: 10, maxLength: 40 },
  )
  .map((others) => [{ step: 'rule', rule: { namespaces: { allow: ['shop'] } } }, { step: 'settle' }, ...others]);

describe('after any history, what is imported is what the rule leaves of the remote', () => {
  test('of identities that follow endpoints over listings that break off', async () => {
    const follow = async (history: readonly Step[]) => {
      const session = new FakeSession();
      for (const each of history) await perform(session, each);
      await session.settle();
      expect(session.held).toEqual(imported(session.store, { namespaces: { allow: ['shop'] } }));
      session.stop();
    };
    await fc.assert(fc.asyncProperty(FOLLOWING, follow), { numRuns: 500 });
  }, 120_000);

  test.each(Object.entries({ ...PARTS, 'all together': all, 'all but kinds': some } as Record<string, fc.Arbitrary<RuleText>>))(
    '%s',
    async (_, rule) => {
      const follow = async (history: readonly Step[]) => {
        const session = new FakeSession();
        let last: RuleText | undefined;
        for (const each of history) {
          if (each.step === 'rule') last = each.rule;
          await perform(session, each);
        }
        await session.settle();
        expect(session.held).toEqual(imported(session.store, last));
        for (const kind of KINDS) {
          const all = session.store[kind].size;
          const isImported = last?.kinds?.includes(kind) ?? true;
          const refused = isImported ? all - Object.keys(session.held[kind]).length : 0;
          if (last !== undefined && isImported) expect(session.policy.tally.refused(kind), kind).toBe(refused);
        }
        session.stop();
      };
      await fc.assert(fc.asyncProperty(steps(rule), follow), { numRuns: 200 });
    },
    120_000,
  );
});
