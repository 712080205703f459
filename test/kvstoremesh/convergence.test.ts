import fc from 'fast-check';
import { describe, test } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { Mesh, type Remote, startLocal, startRemote } from '../support/kvstoremesh/mesh-fixture.ts';

const SOURCE = 'cilium/state/nodes/v1/berlin/';
const KEYS = Array.from({ length: 12 }, (_, index) => `n${index}`);

type Step =
  | { readonly kind: 'put'; readonly keys: readonly string[]; readonly value: string }
  | { readonly kind: 'delete'; readonly keys: readonly string[] }
  | { readonly kind: 'cut' | 'refuse' | 'heal' | 'blackHole' | 'compact' | 'restart' | 'reconnect' | 'tamper' };

const keys = fc.uniqueArray(fc.constantFrom(...KEYS), { minLength: 1, maxLength: 6 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('put' as const), keys, value: fc.string({ maxLength: 8 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), keys }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('cut' as const, 'refuse' as const, 'heal' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('blackHole' as const, 'compact' as const, 'restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('reconnect' as const, 'tamper' as const) }) },
);

async function perform(each: Step, berlin: Remote, mesh: Mesh): Promise<void> {
  switch (each.kind) {
    case 'put':
      await berlin.put(Object.fromEntries(each.keys.map((key) => [SOURCE + key, each.value])));
      break;
    case 'delete':
      await berlin.delete(...each.keys.map((key) => SOURCE + key));
      break;
    case 'cut':
      berlin.proxy.cut();
      break;
    case 'refuse':
      await berlin.proxy.disconnect();
      break;
    case 'heal':
      await berlin.proxy.heal();
      break;
    case 'blackHole':
      berlin.proxy.blackHole();
      break;
    case 'compact':
      await berlin.compact();
      break;
    case 'restart':
      await berlin.process.restart();
      break;
    case 'reconnect':
      mesh.change('berlin', berlin.proxy.endpoint);
      break;
    case 'tamper':
      await mesh.local.delete('cilium/cache/nodes/v1/berlin/n0', 'cilium/cache/nodes/v1/berlin/n1');
      break;
  }
}

describe.skipIf(etcdVersions().length === 0)('after any history', { timeout: 180_000 }, () => {
  test('the mirror is equal to the remote once all is well again', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7);
    await berlin.announce();
    await using mesh = await Mesh.mirroring(local, [berlin], { pageSize: 3, silenceMs: 2_000 });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        for (const each of steps) await perform(each, berlin, mesh);
        await berlin.proxy.heal();
        const source = await berlin.dump(SOURCE);
        const entries = Object.entries(source).map(([key, value]) => [key.replace('/state/', '/cache/'), value]);
        await mesh.holds(Object.fromEntries(entries));
      }),
      { numRuns: 12, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
    );
    await mesh.until('all is well', 'berlin', ({ ready, reason }) => ready && reason === undefined);
  });
});
