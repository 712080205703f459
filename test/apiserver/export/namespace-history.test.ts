/**
 * Namespaces that come, go and are switched while what is in them changes and moves: what is exported follows from what there
 * is, so a daemon that has seen all of it exports what one that is started now does.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ClusterModel, type Manifest } from '../cluster-model.ts';

type Change =
  | { readonly type: 'apply'; readonly manifest: Manifest }
  | { readonly type: 'remove'; readonly manifest: Manifest }
  | { readonly type: 'settle' };

const NAMESPACES = ['shop', 'bank', 'mill'];
const namespaceName = fc.constantFrom(...NAMESPACES);

const manifest = (object: object) => object as Manifest;

const namespaces = fc.record({ name: namespaceName, isGlobal: fc.constantFrom(undefined, 'true', 'false') }).map((drawn) => {
  const annotations = drawn.isGlobal === undefined ? {} : { 'clustermesh.cilium.io/global': drawn.isGlobal };
  return manifest({ kind: 'Namespace', metadata: { name: drawn.name, annotations } });
});

/** Objects of each namespace whose content changes, and slices that move between namespaces. */
const objects = fc
  .record({
    at: fc.nat(NAMESPACES.length - 1),
    moved: namespaceName,
    number: fc.integer({ min: 1, max: 3 }),
    isShared: fc.boolean(),
    age: fc.nat(2),
  })
  .chain(({ at, moved, number, isShared, age }) => {
    const namespace = NAMESPACES[at] ?? '';
    const creationTimestamp = `2026-01-01T00:00:0${age}Z`;
    const metadata = { name: 'web', namespace, creationTimestamp };
    const annotations = isShared ? { 'service.cilium.io/global': 'true' } : {};
    const labels = { 'kubernetes.io/service-name': 'web' };
    // Some addresses are claimed by several objects.
    const pods = [
      { name: 'web-0', id: number, networking: { addressing: [{ ipv4: `10.1.0.${at}` }, { ipv4: `10.2.0.${number}` }] } },
    ];
    const security = { 'k8s:n': `${number}`, 'k8s:io.kubernetes.pod.namespace': namespace };
    const addressing = [{ ipv4: `10.2.${at}.${number}` }, { ipv4: `10.2.0.${number}` }];
    return fc.constantFrom(
      manifest({ kind: 'Service', metadata: { ...metadata, annotations }, spec: { ports: [{ port: number }] } }),
      manifest({
        kind: 'EndpointSlice',
        metadata: { ...metadata, labels },
        addressType: 'IPv4',
        endpoints: [{ addresses: [`10.3.0.${number}`] }],
      }),
      manifest({ kind: 'ServiceExport', metadata, spec: { exportedLabels: { number: `${number}` } } }),
      manifest({ kind: 'CiliumEndpoint', metadata, status: { networking: { addressing } } }),
      manifest({
        kind: 'CiliumEndpointSlice',
        metadata: { name: `slice-${at}`, creationTimestamp },
        namespace: moved,
        endpoints: pods,
      }),
      manifest({ kind: 'CiliumIdentity', metadata: { name: `${1000 + at}` }, 'security-labels': security }),
      manifest({ kind: 'CiliumNode', metadata: { name: `node-${at}` }, spec: { bootid: `${number}` } }),
    );
  });

const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 4, arbitrary: objects.map((object) => ({ type: 'apply' as const, manifest: object })) },
  { weight: 1, arbitrary: objects.map((object) => ({ type: 'remove' as const, manifest: object })) },
  { weight: 2, arbitrary: namespaces.map((object) => ({ type: 'apply' as const, manifest: object })) },
  { weight: 1, arbitrary: namespaces.map((object) => ({ type: 'remove' as const, manifest: object })) },
  { weight: 2, arbitrary: fc.constant({ type: 'settle' as const }) },
);

const idOf = ({ kind, metadata }: Manifest) => `${kind} ${metadata.namespace ?? ''} ${metadata.name}`;

/** Carries a change out, and notes what there is afterwards. */
async function carryOut(model: ClusterModel, change: Change, present: Map<string, Manifest>): Promise<void> {
  if (change.type === 'settle') return model.settled();
  const { kind, metadata } = change.manifest;
  if (change.type === 'apply') {
    model.apply(change.manifest);
    present.set(idOf(change.manifest), change.manifest);
  } else {
    model.remove(kind, metadata.name, metadata.namespace);
    present.delete(idOf(change.manifest));
  }
}

test('what is exported after any history of namespaces is what a daemon that is started then exports', async () => {
  let exportedKeys = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 10, maxLength: 40, size: 'max' }), async (history) => {
      const old = new ClusterModel();
      old.listed();
      const present = new Map<string, Manifest>();
      for (const step of history) await carryOut(old, step, present);
      const started = new ClusterModel();
      started.apply(...present.values());
      started.listed();
      await Promise.all([old.settled(), started.settled()]);
      exportedKeys += Object.keys(started.texts()).length;
      expect(old.texts()).toEqual(started.texts());
    }),
    { numRuns: 60 },
  );
  expect(exportedKeys).toBeGreaterThan(80);
});
