/**
 * What clients rely on in server-side apply: who owns a field, and what happens to one nobody states.
 */
import { expect, test } from 'vitest';
import type { Manifest } from '../support/kubernetes-provider.ts';
import { type Api, NODES } from './contract-subject.ts';

export function applyContract(api: () => Api): void {
  const node = (labels: Record<string, string>, spec: unknown) => ({
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNode',
    metadata: { name: 'a', ...(Object.keys(labels).length > 0 ? { labels } : {}) },
    spec,
  });
  const apply = (manager: string, object: unknown, force = false) =>
    api().requests.send('PATCH', `${NODES}/a?fieldManager=${manager}&force=${force}`, object, 'application/apply-patch+yaml');

  test('a field that its only author states no more is gone, others stay', async () => {
    expect((await apply('one', node({ a: '1', b: '1' }, { bootid: 'x', health: { ipv4: '10.0.0.1' } }))).code).toBe(201);
    await api().requests.patch(`${NODES}/a`, 'merge-patch', { metadata: { labels: { c: '1' } } });
    expect((await apply('one', node({ a: '1' }, { bootid: 'x' }))).code).toBe(200);
    expect(await api().requests.get(`${NODES}/a`)).toMatchObject({
      metadata: { labels: { a: '1', c: '1' } },
      spec: { bootid: 'x' },
    });
    expect(await api().requests.get(`${NODES}/a`)).not.toMatchObject({ spec: { health: {} } });
  });

  test('a field that two authors state stays until neither does', async () => {
    await apply('one', node({ shared: '1' }, {}));
    await apply('two', node({ shared: '1' }, {}));
    await apply('one', node({}, {}));
    expect(await api().requests.get(`${NODES}/a`)).toMatchObject({ metadata: { labels: { shared: '1' } } });
    await apply('two', node({}, {}));
    expect(((await api().requests.get(`${NODES}/a`)) as Manifest).metadata.labels).toBeUndefined();
  });

  test('another value for a field of another author is a conflict, unless it is forced', async () => {
    await apply('one', node({}, { bootid: 'x' }));
    expect(await apply('two', node({}, { bootid: 'y' }))).toMatchObject({
      code: 409,
      body: {
        reason: 'Conflict',
        details: { causes: [{ reason: 'FieldManagerConflict', field: '.spec.bootid', message: 'conflict with "one"' }] },
      },
    });
    expect((await apply('two', node({}, { bootid: 'y' }), true)).code).toBe(200);
    await apply('one', node({}, {}));
    expect(await api().requests.get(`${NODES}/a`)).toMatchObject({ spec: { bootid: 'y' } });
  });

  test('an apply needs a manager', async () => {
    expect(await api().code('PATCH', `${NODES}/a`, node({}, {}), 'application/apply-patch+yaml')).toBe(422);
  });
}
