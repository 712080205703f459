/**
 * Objects as clusters really have them, which the usual ones do not show: each has its place in etcd, and none stops the
 * others. On the embedded Kubernetes API, and on a real kube-apiserver where there is one.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readEtcd } from '../support/etcd/etcd-gateway.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../support/etcd/etcd-process.ts';
import { ClustermeshRun } from '../support/kubernetes/clustermesh-run.ts';
import {
  type KubernetesProvider,
  type Manifest,
  type ProviderName,
  providerMissing,
  startKubernetes,
} from '../support/kubernetes/kubernetes-provider.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const NODE = 'cilium/state/nodes/v1/lantern/';
const IDENTITY = 'cilium/state/identities/v1/id/';
const IP = 'cilium/state/ip/v1/default/';
const SERVICE = 'cilium/state/services/v1/lantern/forge/';
const SLICE = 'cilium/state/endpointslices/v1/lantern/forge/';
const EXPORT = 'cilium/state/serviceexports/v1/lantern/forge/';

/** An integer that no JavaScript number holds. */
const rawJson = (text: string) => (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);

const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'forge' } } as Manifest;

function node(name: string, ipam: object, annotations: Record<string, string> = {}, encryption: object = {}): Manifest {
  const spec = { addresses: [{ type: 'InternalIP', ip: '172.20.0.14' }], ipam, encryption };
  return { apiVersion: 'cilium.io/v2', kind: 'CiliumNode', metadata: { name, annotations }, spec };
}

function identity(name: string, labels: Record<string, string>): Manifest {
  const owned = { 'k8s:io.kubernetes.pod.namespace': 'forge', ...labels };
  return { apiVersion: 'cilium.io/v2', kind: 'CiliumIdentity', metadata: { name }, 'security-labels': owned };
}

function endpoint(name: string, ipv4: string, status: object = {}): Manifest {
  const full = { identity: { id: 65_541 }, networking: { addressing: [{ ipv4 }] }, ...status };
  return { apiVersion: 'cilium.io/v2', kind: 'CiliumEndpoint', metadata: { name, namespace: 'forge' }, status: full };
}

function service(name: string, clusterIP: string): Manifest {
  const metadata = { name, namespace: 'forge', annotations: { 'service.cilium.io/global': 'true' } };
  return { apiVersion: 'v1', kind: 'Service', metadata, spec: { clusterIP, ports: [{ name: 'a', port: 80 }] } };
}

function slice(name: string, serviceName: string, endpoints: readonly object[], port: object): Manifest {
  const metadata = { name, namespace: 'forge', labels: { 'kubernetes.io/service-name': serviceName } };
  const ports = [{ protocol: 'TCP', ...port }];
  return { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata, addressType: 'IPv4', endpoints, ports };
}

function suite(name: ProviderName): void {
  const missing = providerMissing(name) ?? (etcdVersions().length === 0 ? 'no etcd' : undefined);
  describe.skipIf(missing !== undefined)(
    `odd objects, ${name} Kubernetes API${missing === undefined ? '' : ` (${missing})`}`,
    () => {
      const etcdConfig = join(temporaryDirectory('odd-objects'), 'etcd.yaml');
      let kubernetes: KubernetesProvider;
      let etcd: EtcdProcess;
      let daemon: ClustermeshRun;

      beforeAll(async () => {
        [kubernetes, etcd] = await Promise.all([startKubernetes(name), startEtcd()]);
        writeFileSync(etcdConfig, `endpoints: ['${etcd.endpoint}']\n`);
      }, 180_000);
      beforeEach(async () => {
        await kubernetes.clean();
        daemon = await ClustermeshRun.start([
          '--cluster-name=lantern',
          '--cluster-id=42',
          `--k8s-kubeconfig-path=${kubernetes.kubeconfigFile}`,
          `--kvstore-opt=etcd.config=${etcdConfig}`,
          '--clustermesh-enable-mcs-api',
        ]);
        await until('the daemon to be ready', async () => (await daemon.readiness()) === 'Ready');
      });
      afterEach(() => daemon.stop());
      afterAll(() => Promise.all([kubernetes?.stop(), etcd?.stop()]));

      const apply = async (...objects: readonly Manifest[]) => {
        for (const object of objects) await kubernetes.applyObject(object);
      };
      const text = async (key: string) =>
        (await readEtcd(etcd.endpoint)).find((found) => found.key.toString() === key)?.value.toString();
      const json = async (key: string) => JSON.parse((await text(key)) ?? 'null') as Record<string, unknown> | null;
      const written = (key: string) => until(`${key} to be written`, () => text(key));
      const gone = (key: string) => until(`${key} to be gone`, async () => (await text(key)) === undefined);

      test('a node of multi-pool IPAM has its networks, and a WireGuard key of either name', async () => {
        const oldKey = { 'io.cilium.network.wg-pub-key': 'old=' };
        const pools = {
          allocated: [
            { pool: 'default', cidrs: ['10.207.0.16/28', 'fd00:207::10/124'] },
            { pool: 'b', cidrs: ['10.99.4.0/26'] },
          ],
        };
        await apply(
          node('mp-a', { pools }, oldKey),
          node('mp-b', { podCIDRs: ['10.44.0.0/26'], pools }, { ...oldKey, 'network.cilium.io/wg-pub-key': 'new=' }),
        );
        await written(`${NODE}mp-b`);
        expect(await json(`${NODE}mp-a`)).toMatchObject({
          IPv4AllocCIDR: { IP: '10.207.0.16' },
          IPv4SecondaryAllocCIDRs: [{ IP: '10.99.4.0' }],
          IPv6AllocCIDR: { IP: 'fd00:207::10' },
          WireguardPubKey: 'old=',
        });
        expect(await json(`${NODE}mp-b`)).toMatchObject({
          IPv4AllocCIDR: { IP: '10.44.0.0' },
          IPv4SecondaryAllocCIDRs: [{ IP: '10.207.0.16' }, { IP: '10.99.4.0' }],
          WireguardPubKey: 'new=',
        });
      });

      test('reserved labels have their short forms', async () => {
        await apply(
          namespace,
          identity('65541', { $host: '' }),
          identity('65542', { 'reserved:': 'health' }),
          identity('65543', { '$a:b': 'c' }),
        );
        await written(`${IDENTITY}65543`);
        const owner = 'k8s:io.kubernetes.pod.namespace=forge;';
        expect(await text(`${IDENTITY}65541`)).toBe(`reserved:host=;${owner}`);
        expect(await text(`${IDENTITY}65542`)).toBe(`reserved:health=;${owner}`);
        expect(await text(`${IDENTITY}65543`)).toBe(`reserved:a:b=c;${owner}`);
      });

      test('an endpoint with a named port out of range is exported without it, and those after it too', async () => {
        const ports = {
          'named-ports': [
            { name: 'a', port: 70_000, protocol: 'TCP' },
            { name: 'b', port: 80, protocol: 'TCP' },
          ],
        };
        await apply(namespace, endpoint('before', '10.7.0.1'), endpoint('odd', '10.7.0.2', ports), endpoint('after', '10.7.0.3'));
        await written(`${IP}10.7.0.3`);
        expect(await json(`${IP}10.7.0.2`)).toMatchObject({ ID: 65_541, NamedPorts: [{ Name: 'b', Port: 80 }] });
        await kubernetes.delete('CiliumEndpoint/forge/odd');
        await gone(`${IP}10.7.0.2`);
        expect(await text(`${IP}10.7.0.1`)).toBeDefined();
      });

      // The embedded API holds numbers as JavaScript has them.
      if (name !== 'embedded')
        test('integers beyond 2^53 are cut as Go does, and cost nothing', async () => {
          const key = { key: rawJson('9007199254740995') };
          const status = { identity: { id: rawJson('9007199254740997') }, encryption: key };
          await apply(namespace, node('wide', {}, {}, key), endpoint('wide', '10.7.0.4', status), endpoint('after', '10.7.0.5'));
          await written(`${IP}10.7.0.5`);
          await written(`${NODE}wide`);
          expect(await json(`${IP}10.7.0.4`)).toMatchObject({ ID: 5, Key: 3 });
          expect(await json(`${NODE}wide`)).toMatchObject({ EncryptionKey: 3 });
        });

      test('an address of two slices has the ports of both', async () => {
        const endpoints = [{ addresses: ['10.40.0.2'], conditions: { ready: true } }];
        await apply(namespace, service('two', '10.96.4.4'));
        await apply(
          slice('two-f', 'two', endpoints, { name: 'a', port: 8080 }),
          slice('two-g', 'two', endpoints, { name: 'b', port: 8082 }),
        );
        const both = { a: { Protocol: 'TCP', Port: 8080 }, b: { Protocol: 'TCP', Port: 8082 } };
        await until('both ports', async () => (await text(`${SERVICE}two`))?.includes('8082'));
        expect((await json(`${SERVICE}two`))?.backends).toEqual({ '10.40.0.2': both });
      });

      test('an address that a slice names twice is a backend while one of the two serves, under the name of that one', async () => {
        const addresses = ['10.8.0.1'];
        const old = { ready: false, serving: false, terminating: true };
        const apply12 = (...endpoints: object[]) => apply(slice('anvil-1', 'anvil', endpoints, { name: 'a', port: 8080 }));
        const known = async () => {
          const { backends = {}, hostnames = {} } = (await json(`${SERVICE}anvil`)) ?? {};
          return JSON.stringify([Object.keys(backends as object), hostnames]);
        };
        await apply(namespace, service('anvil', '10.96.7.7'));
        await apply12(
          { addresses, conditions: { ready: true }, hostname: 'new' },
          { addresses, conditions: old, hostname: 'old' },
        );
        await until('the new pod', async () => (await known()) === '[["10.8.0.1"],{"10.8.0.1":"new"}]');
        await apply12(
          { addresses, conditions: { ready: false, serving: true, terminating: true }, hostname: 'old' },
          { addresses, conditions: { ready: false } },
        );
        await until('the pod that drains', async () => (await known()) === '[["10.8.0.1"],{"10.8.0.1":"old"}]');
        await apply12({ addresses, conditions: old }, { addresses, conditions: { ready: false } });
        await until('no backend', async () => (await known()) === '[[],{}]');
      });

      test('what outlives its namespace is not exported any more', async () => {
        const exported = {
          apiVersion: 'multicluster.x-k8s.io/v1beta1',
          kind: 'ServiceExport',
          metadata: { name: 'anvil', namespace: 'forge' },
        } as Manifest;
        const endpoints = [{ addresses: ['10.8.0.1'] }];
        await apply(
          namespace,
          service('anvil', '10.96.7.7'),
          slice('anvil-1', 'anvil', endpoints, { name: 'a', port: 80 }),
          exported,
        );
        const keys = [`${SERVICE}anvil`, `${SLICE}anvil-1`, `${EXPORT}anvil`];
        for (const key of keys) await written(key);
        await kubernetes.delete('Namespace/forge');
        for (const key of keys) await gone(key);
      });
    },
  );
}

suite('embedded');
suite('real');
