/** The plan of a selector, of objects of any kind, is what the daemon exports with the one selector and with the other. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseLabelSelector } from '../../../src/apiserver/export/label-selector.ts';
import { Namespaces } from '../../../src/apiserver/export/namespaces.ts';
import { ExportPlan } from '../../../src/apiserver/plan/plan.ts';
import { exportPlanText } from '../../../src/apiserver/plan/text.ts';
import type { Manifest } from '../cluster-model.ts';
import { labels, selectors } from '../export/selector-arbitraries.ts';
import { SelectionModel } from './selection-model.ts';

const manifest = (object: object) => object as Manifest;
const namespaceNames = fc.constantFrom('shop', 'bank', 'closed');
const NAMESPACES = ['shop', 'bank', 'closed'].map((name) =>
  manifest({ kind: 'Namespace', metadata: { name, annotations: { 'clustermesh.cilium.io/global': `${name !== 'closed'}` } } }),
);

const identities = fc.uniqueArray(fc.record({ id: fc.integer({ min: 256, max: 262 }), labels, namespace: namespaceNames }), {
  selector: ({ id }) => id,
  maxLength: 6,
});
const pod = fc.record({
  id: fc.integer({ min: 255, max: 263 }),
  labels: fc.option(labels, { nil: undefined }),
  namespace: namespaceNames,
});
const pods = fc.array(pod, { minLength: 1, maxLength: 12, size: 'max' });

/** No two Pods have an address in common: the plan counts such an address for each. */
const addressing = (index: number) => [{ ipv4: `10.0.0.${index}`, ipv6: index % 2 === 0 ? `fd00::${index}` : '' }];

test.each([false, true])('with CiliumEndpointSlices: %s', async (usesEndpointSlices) => {
  await fc.assert(
    fc.asyncProperty(identities, pods, selectors, selectors, fc.boolean(), async (known, drawn, present, planned, restarts) => {
      const identityObjects = known.map(({ id, labels: own, namespace }) => {
        const security = Object.fromEntries(Object.entries(own).map(([name, value]) => [`k8s:${name}`, value]));
        return manifest({
          kind: 'CiliumIdentity',
          metadata: { name: `${id}` },
          'security-labels': { ...security, 'k8s:io.kubernetes.pod.namespace': namespace },
        });
      });
      const endpointObjects = drawn.map(({ id, labels: own, namespace }, index) =>
        usesEndpointSlices
          ? manifest({
              kind: 'CiliumEndpointSlice',
              metadata: { name: `s-${index}` },
              namespace,
              endpoints: [{ name: `pod-${index}`, id, networking: { addressing: addressing(index) } }],
            })
          : manifest({
              kind: 'CiliumEndpoint',
              metadata: { name: `pod-${index}`, namespace, ...(own && { labels: own }) },
              status: { identity: { id }, networking: { addressing: addressing(index) } },
            }),
      );
      // Without a selector the exports follow other rules, which the daemon's tests compare.
      fc.pre(parseLabelSelector(present.text).text !== '' && parseLabelSelector(planned.text).text !== '');
      const [now, then] = await Promise.all(
        [present, planned].map(async ({ text }) => {
          const model = new SelectionModel({ selector: text, usesEndpointSlices });
          model.apply(...NAMESPACES, ...identityObjects, ...endpointObjects);
          model.listed();
          await model.settled();
          return { ...model.exported(), endpoints: model.counts.total };
        }),
      );
      const namespaces = new Namespaces(true);
      for (const object of NAMESPACES) namespaces.upsert(object, { name: object.metadata.name });
      const plan = new ExportPlan({
        namespaces,
        usesEndpointSlices,
        present: parseLabelSelector(present.text),
        planned: parseLabelSelector(planned.text),
        examples: 2,
      });
      for (const object of identityObjects) plan.identity(object);
      for (const object of endpointObjects) plan.endpoints(object);
      if (restarts) {
        plan.restartEndpoints();
        for (const object of endpointObjects) plan.endpoints(object);
      }
      const result = plan.result(0);
      const [before, after] = [Object.keys(now?.addresses ?? {}), Object.keys(then?.addresses ?? {})];
      expect(result.addresses).toEqual(compared(before, after));
      expect(result.identities).toEqual(compared(now?.identities ?? [], then?.identities ?? []));
      expect(result.endpoints).toMatchObject({ present: now?.endpoints.exported, planned: then?.endpoints.exported });
      for (const { added, withdrawn, examples } of result.namespaces) {
        expect([examples.added.length, examples.withdrawn.length]).toEqual([Math.min(added, 2), Math.min(withdrawn, 2)]);
      }
      expect(exportPlanText(result)).toContain('planned selector: ');
    }),
    { numRuns: 60 },
  );
});

function compared(before: readonly string[], after: readonly string[]): object {
  const added = after.filter((each) => !before.includes(each)).length;
  const withdrawn = before.filter((each) => !after.includes(each)).length;
  return { present: before.length, planned: after.length, added, withdrawn };
}
