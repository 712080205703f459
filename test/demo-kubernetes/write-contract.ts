/**
 * What clients rely on in writes: refusals that name their reason, patches, conflicts, finalizers.
 */
import { expect, test } from 'vitest';
import type { Manifest } from '../support/kubernetes-provider.ts';
import { type Api, NODES, SERVICES } from './contract-subject.ts';

export function writeContract(api: () => Api): void {
  test('an object exists once, in a namespace that exists', async () => {
    await api().createService();
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec: { ports: [{ port: 80 }] } };
    expect(await api().requests.send('POST', SERVICES, service)).toMatchObject({
      code: 409,
      body: { reason: 'AlreadyExists' },
    });
    expect(await api().code('POST', '/api/v1/namespaces/nowhere/services', service)).toBe(404);
    expect(await api().code('POST', SERVICES, { ...service, metadata: { name: 'web', namespace: 'other' } })).toBe(400);
    expect(await api().code('POST', SERVICES, { ...service, kind: 'Pod' })).toBe(400);
  });

  test('objects that break the rules are refused with the fields that do', async () => {
    const refused = async (path: string, object: unknown) => {
      const { code: status, body } = await api().requests.send('POST', path, object);
      const { details } = body as { details: { causes: { field: string }[] } };
      return { code: status, fields: details.causes.map(({ field }) => field) };
    };
    const service = (metadata: unknown, spec: unknown) => ({ apiVersion: 'v1', kind: 'Service', metadata, spec });
    expect(await refused(SERVICES, service({ name: '9web' }, { ports: [{ port: 80 }] }))).toEqual({
      code: 422,
      fields: ['metadata.name'],
    });
    expect(await refused(SERVICES, service({ name: 'web' }, {}))).toEqual({ code: 422, fields: ['spec.ports'] });
    expect(
      await refused(SERVICES, service({ name: 'web' }, { ports: [{ port: 80 }, { name: 'b', port: 0, targetPort: 8080 }] })),
    ).toEqual({
      code: 422,
      fields: ['spec.ports[0].name', 'spec.ports[1].port'],
    });
    expect(await refused(SERVICES, service({ name: 'web', labels: { a: 'no spaces' } }, { ports: [{ port: 80 }] }))).toEqual({
      code: 422,
      fields: ['metadata.labels'],
    });
    const slices = '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices';
    const slice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1' },
      addressType: 'IPv4',
      ports: [],
    };
    expect(await refused(slices, { ...slice, endpoints: [{ addresses: ['fd00::1'] }] })).toEqual({
      code: 422,
      fields: ['endpoints[0].addresses'],
    });
  });

  test('an update that names an old revision is a conflict', async () => {
    const service = await api().createService();
    await api().requests.patch(`${SERVICES}/web`, 'merge-patch', { metadata: { labels: { a: 'b' } } });
    expect(await api().requests.send('PUT', `${SERVICES}/web`, service)).toMatchObject({
      code: 409,
      body: { reason: 'Conflict' },
    });
    const { resourceVersion, ...metadata } = service.metadata;
    const replaced = (await api().requests.replace(`${SERVICES}/web`, { ...service, metadata })) as Manifest;
    expect(replaced.metadata.labels).toBeUndefined();
    expect(replaced.metadata.uid).toBe(metadata.uid);
  });

  test('the name of an object may be left to the server', async () => {
    const node = (await api().requests.create(NODES, {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNode',
      metadata: { generateName: 'n-' },
    })) as Manifest;
    expect(node.metadata.name).toMatch(/^n-[a-z0-9]{5}$/);
  });

  test('a dry run answers and stores nothing', async () => {
    const node = { apiVersion: 'cilium.io/v2', kind: 'CiliumNode', metadata: { name: 'a' } };
    expect(await api().code('POST', `${NODES}?dryRun=All`, node)).toBe(201);
    expect(await api().requests.get(`${NODES}/a`)).toBeUndefined();
  });

  test('a JSON patch is applied whole or not at all', async () => {
    await api().createNode('a', {}, { addresses: [{ ip: '10.0.0.1' }], bootid: 'x' });
    const patch = [
      { op: 'test', path: '/spec/bootid', value: 'x' },
      { op: 'replace', path: '/spec/bootid', value: 'y' },
      { op: 'add', path: '/spec/addresses/-', value: { ip: '10.0.0.2' } },
      { op: 'add', path: '/metadata/labels', value: { 'example.org/a': 'b' } },
      { op: 'copy', from: '/metadata/labels/example.org~1a', path: '/spec/copied' },
      { op: 'remove', path: '/spec/addresses/0' },
    ];
    expect(await api().requests.patch(`${NODES}/a`, 'json-patch', patch)).toMatchObject({
      metadata: { generation: 2, labels: { 'example.org/a': 'b' } },
      spec: { addresses: [{ ip: '10.0.0.2' }], bootid: 'y', copied: 'b' },
    });
    const failing = [
      { op: 'replace', path: '/spec/bootid', value: 'z' },
      { op: 'test', path: '/spec/bootid', value: 'x' },
    ];
    expect(await api().code('PATCH', `${NODES}/a`, failing, 'application/json-patch+json')).toBe(422);
    expect(await api().requests.get(`${NODES}/a`)).toMatchObject({ spec: { bootid: 'y' } });
  });

  test('a strategic merge patch merges the ports of a service by their numbers', async () => {
    await api().createService({
      ports: [
        { name: 'http', port: 80 },
        { name: 'tls', port: 443 },
      ],
    });
    const patched = (await api().requests.patch(`${SERVICES}/web`, 'strategic-merge-patch', {
      spec: {
        ports: [
          { port: 80, targetPort: 8080 },
          { port: 443, $patch: 'delete' },
          { name: 'dns', port: 53, protocol: 'UDP' },
        ],
      },
    })) as { spec: { ports: unknown } };
    expect(patched.spec.ports).toEqual([
      { name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 },
      { name: 'dns', port: 53, protocol: 'UDP', targetPort: 53 },
    ]);
    await api().createNode('a');
    expect(await api().code('PATCH', `${NODES}/a`, { spec: {} }, 'application/strategic-merge-patch+json')).toBe(415);
  });

  test('status is written through its subresource only', async () => {
    await api().createService({ type: 'LoadBalancer', allocateLoadBalancerNodePorts: false });
    const status = { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } };
    await api().requests.patch(`${SERVICES}/web`, 'merge-patch', { status });
    expect(await api().requests.get(`${SERVICES}/web`)).toMatchObject({ status: { loadBalancer: {} } });
    await api().requests.patch(`${SERVICES}/web/status`, 'merge-patch', { status, spec: { externalIPs: ['192.0.2.9'] } });
    expect(await api().requests.get(`${SERVICES}/web`)).toMatchObject({
      spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
      status: { loadBalancer: { ingress: [{ ip: '203.0.113.1', ipMode: 'VIP' }] } },
    });
  });

  test('an object with a finalizer stays, marked, until the finalizer is gone', async () => {
    await api().createNode('a');
    await api().requests.patch(`${NODES}/a`, 'merge-patch', { metadata: { finalizers: ['example.org/wait'] } });
    await api().provider.delete('CiliumNode/a');
    expect(await api().requests.get(`${NODES}/a`)).toMatchObject({
      metadata: { deletionTimestamp: expect.any(String) as string },
    });
    await api().requests.patch(`${NODES}/a`, 'merge-patch', { metadata: { finalizers: null } });
    expect(await api().requests.get(`${NODES}/a`)).toBeUndefined();
  });

  test('a delete may insist on the object it means', async () => {
    const node = await api().createNode('a');
    expect(await api().code('DELETE', `${NODES}/a`, { preconditions: { uid: 'other' } })).toBe(409);
    expect(await api().code('DELETE', `${NODES}/a`, { preconditions: { uid: node.metadata.uid } })).toBe(200);
    expect(await api().code('DELETE', `${NODES}/a`)).toBe(404);
  });

  test('a collection is deleted by a selector', async () => {
    await api().createNode('a', { old: 'yes' });
    await api().createNode('b');
    expect(await api().code('DELETE', `${NODES}?labelSelector=old`)).toBe(200);
    expect(api().names(await api().listed())).toEqual(['b']);
  });
}
