/**
 * What clients rely on in a list: one revision over all pages, selectors, refusals.
 */
import { expect, test } from 'vitest';
import { until } from '../../support/until.ts';
import { type Api, NODES } from './contract-subject.ts';

export function listContract(api: () => Api): void {
  test('pages show one revision, independent of later changes', async () => {
    for (const node of ['a', 'b', 'c', 'd', 'e']) await api().createNode(node);
    const first = await api().listed('limit=2');
    expect(api().names(first)).toEqual(['a', 'b']);
    expect(first.metadata.remainingItemCount).toBe(3);
    await api().createNode('bb');
    await api().provider.delete('CiliumNode/d');
    const second = await api().listed(`limit=2&continue=${first.metadata.continue}`);
    const third = await api().listed(`limit=2&continue=${second.metadata.continue}`);
    expect([...api().names(second), ...api().names(third)]).toEqual(['c', 'd', 'e']);
    expect([second.metadata.resourceVersion, third.metadata.resourceVersion]).toEqual([
      first.metadata.resourceVersion,
      first.metadata.resourceVersion,
    ]);
    expect(third.metadata.continue ?? '').toBe('');
  });

  test('a list at resource version 0 is complete, with any limit', async () => {
    for (const node of ['a', 'b', 'c']) await api().createNode(node);
    // Resource version 0 may be of a moment ago: the real API answers from its watch cache.
    const whole = async () =>
      api()
        .names(await api().listed('limit=2&resourceVersion=0'))
        .join() === 'a,b,c';
    await until('the list has all three', whole);
  });

  test.each([
    ['tier=front', ['a']],
    ['tier==front', ['a']],
    ['tier!=front', ['b', 'c']],
    ['tier in (front,back)', ['a', 'b']],
    ['tier notin (front)', ['b', 'c']],
    ['tier', ['a', 'b']],
    ['!tier', ['c']],
    ['tier in (front,back),!zone', ['b']],
    ['example.org/zone=z1,tier', []],
    ['zone=', []],
  ])('the label selector %s selects %j', async (selector, expected) => {
    await api().createNode('a', { tier: 'front', zone: 'z' });
    await api().createNode('b', { tier: 'back' });
    await api().createNode('c');
    expect(api().names(await api().listed(`labelSelector=${encodeURIComponent(selector)}`))).toEqual(expected);
  });

  test('a field selector names an object, and fields no kind has are refused', async () => {
    await api().createNode('a');
    await api().createNode('b');
    expect(api().names(await api().listed('fieldSelector=metadata.name%3Db'))).toEqual(['b']);
    expect(api().names(await api().listed('fieldSelector=metadata.name!%3Db'))).toEqual(['a']);
    expect(await api().code('GET', `${NODES}?fieldSelector=spec.colour%3Dred`)).toBe(400);
  });

  test('a revision that is still to come is a timeout to be retried', async () => {
    const { metadata } = await api().listed();
    const answer = await api().requests.send('GET', `${NODES}?resourceVersion=${Number(metadata.resourceVersion) + 1_000_000}`);
    expect(answer).toMatchObject({
      code: 504,
      body: { kind: 'Status', reason: 'Timeout', details: { causes: [{ reason: 'ResourceVersionTooLarge' }] } },
    });
  });

  test('requests that make no sense are refused', async () => {
    expect(await api().code('GET', `${NODES}?labelSelector=${encodeURIComponent('a in b')}`)).toBe(400);
    expect(await api().code('GET', `${NODES}?resourceVersion=many`)).toBe(400);
    expect(await api().code('GET', `${NODES}?resourceVersionMatch=Exact`)).toBe(422);
    expect(await api().code('GET', `${NODES}?continue=abc`)).toBe(400);
    expect(await api().code('GET', '/apis/cilium.io/v2/ciliumcastles')).toBe(404);
    expect(await api().code('GET', '/api/v1/namespaces/shop/services/nope')).toBe(404);
  });
}
