/**
 * What clients rely on in writes: refusals that name their reason, patches, conflicts, finalizers.
 */
import { expect, test } from 'vitest';
import type { Manifest } from '../../support/kubernetes/kubernetes-provider.ts';
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
    const refused = async (metadata: unknown, spec: unknown) => {
      const service = { apiVersion: 'v1', kind: 'Service', metadata, spec };
      const { code, body } = await api().requests.send('POST', SERVICES, service);
      const { details } = body as { details: { causes: { field: string }[] } };
      return { code, fields: details.causes.map(({ field }) => field) };
    };
    const ports = [{ port: 80 }];
    expect(await refused({ name: 'Web' }, { ports })).toEqual({ code: 422, fields: ['metadata.name'] });
    expect(await refused({ name: 'web' }, {})).toEqual({ code: 422, fields: ['spec.ports'] });
    expect(await refused({ name: 'web' }, { ports: [{ name: 'b', port: 0, targetPort: 8080 }] })).toEqual({
      code: 422,
      fields: ['spec.ports[0].port'],
    });
    expect(await refused({ name: 'web', labels: { a: 'no spaces' } }, { ports })).toEqual({
      code: 422,
      fields: ['metadata.labels'],
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
          { name: 'dns', port: 53, protocol: 'UDP' },
          { port: 80, targetPort: 8080 },
          { port: 443, $patch: 'delete' },
        ],
        '$setElementOrder/ports': [{ port: 53 }, { port: 80 }],
      },
    })) as { spec: { ports: unknown } };
    expect(patched.spec.ports).toEqual([
      { name: 'dns', port: 53, protocol: 'UDP', targetPort: 53 },
      { name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 },
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
}
