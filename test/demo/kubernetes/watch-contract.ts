/**
 * What clients rely on in a watch: every change after a revision, in order, once.
 */
import { expect, test } from 'vitest';
import { type Api, NODES, revisionOf } from './contract-subject.ts';
import { type WatchedEvent, watchEvents } from './watched-events.ts';

export function watchContract(api: () => Api): void {
  test('a watch from a revision delivers later changes, in order', async () => {
    const { metadata } = await api().listed();
    await api().createNode('a');
    await api().requests.patch(`${NODES}/a`, 'merge-patch', { spec: { bootid: 'x' } });
    using watch = await watchEvents(api().requests, NODES, `resourceVersion=${metadata.resourceVersion}`);
    await api().createNode('b');
    await api().provider.delete('CiliumNode/a');
    expect(await watch.take(4)).toEqual(['ADDED a', 'MODIFIED a', 'ADDED b', 'DELETED a']);
  });

  test('a deleted object is delivered in its last state, at the revision of its deletion', async () => {
    const node = await api().createNode('a', {}, { bootid: 'last' });
    using watch = await watchEvents(api().requests, NODES, `resourceVersion=${revisionOf(node)}`);
    await api().provider.delete('CiliumNode/a');
    const event = (await watch.next()) as WatchedEvent;
    expect(event).toMatchObject({ type: 'DELETED', object: { spec: { bootid: 'last' } } });
    expect(Number(event.object.metadata.resourceVersion)).toBeGreaterThan(Number(revisionOf(node)));
  });

  test('a watch without a revision begins with what is there', async () => {
    await api().createNode('b');
    await api().createNode('a');
    using watch = await watchEvents(api().requests, NODES);
    expect((await watch.take(2)).toSorted()).toEqual(['ADDED a', 'ADDED b']);
    await api().createNode('c');
    expect(await watch.take(1)).toEqual(['ADDED c']);
  });

  test('a streamed list ends with a marked bookmark', async () => {
    await api().createNode('a');
    const query = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    using watch = await watchEvents(api().requests, NODES, query);
    expect(await watch.take(1)).toEqual(['ADDED a']);
    expect(await watch.next()).toMatchObject({
      type: 'BOOKMARK',
      object: { kind: 'CiliumNode', metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
    });
    await api().createNode('b');
    expect(await watch.take(1)).toEqual(['ADDED b']);
  });

  test('objects come into and leave the part of them that a selector watches', async () => {
    const { metadata } = await api().listed();
    using watch = await watchEvents(api().requests, NODES, `resourceVersion=${metadata.resourceVersion}&labelSelector=in`);
    await api().createNode('a');
    await api().requests.patch(`${NODES}/a`, 'merge-patch', { metadata: { labels: { in: 'yes' } } });
    await api().requests.patch(`${NODES}/a`, 'merge-patch', { spec: { bootid: 'x' } });
    await api().requests.patch(`${NODES}/a`, 'merge-patch', { metadata: { labels: { in: null } } });
    await api().createNode('b', { in: 'yes' });
    expect(await watch.take(4)).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a', 'ADDED b']);
  });

  test('a watch ends when its time is over', async () => {
    using watch = await watchEvents(api().requests, NODES, 'timeoutSeconds=1');
    expect(await watch.next()).toBeUndefined();
  });

  test('a write that changes nothing is no event', async () => {
    const node = await api().createNode('a', {}, { bootid: 'x' });
    using watch = await watchEvents(api().requests, NODES, `resourceVersion=${revisionOf(node)}`);
    await api().requests.patch(`${NODES}/a`, 'merge-patch', { spec: { bootid: 'x' } });
    await api().createNode('b');
    expect(await watch.take(1)).toEqual(['ADDED b']);
  });

  test('a kind of two versions is delivered in the watched version', async () => {
    using watch = await watchEvents(api().requests, '/apis/multicluster.x-k8s.io/v1alpha1/serviceexports');
    await api().provider.applyObject({
      apiVersion: 'multicluster.x-k8s.io/v1beta1',
      kind: 'ServiceExport',
      metadata: { name: 'web', namespace: 'shop' },
    });
    expect(await watch.next()).toMatchObject({ type: 'ADDED', object: { apiVersion: 'multicluster.x-k8s.io/v1alpha1' } });
  });
}
