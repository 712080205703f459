import { describe, expect, test } from 'vitest';
import { providerMissing } from '../support/kubernetes/kubernetes-provider.ts';
import { CA, CERT_MANAGER, type Cluster, certsFixture, HELM, LEAVES, LOCAL, SERVER } from './certs-fixture.ts';

const missing = providerMissing('real');

describe.skipIf(missing !== undefined)(
  `certs rotate-ca${missing === undefined ? '' : ` (${missing})`}`,
  { timeout: 60_000 },
  () => {
    const certs = certsFixture();
    let cluster: Cluster;
    const fresh = async (...argv: readonly string[]) => {
      cluster = await certs.generated(...argv);
      return cluster;
    };

    test('steps are taken in their order alone, each may be repeated, and every Secret follows', async () => {
      await fresh();
      const old = await cluster.certificate(CA, 'ca.crt');
      await expect(cluster.rotate('switch')).rejects.toThrow(/there is no next CA; run certs rotate-ca prepare first/);
      await cluster.rotate('prepare');
      const next = await cluster.certificate(CA, 'ca-next.crt');
      const prepared = await cluster.versions();
      await cluster.rotate('prepare');
      await cluster.generate();
      expect(await cluster.versions()).toEqual(prepared);
      expect((await cluster.check()).secrets[0]?.findings.map(({ code }) => code)).toEqual(['rotation']);
      for (const name of LEAVES) {
        expect(await cluster.trusted(name)).toEqual([old.serialNumber, next.serialNumber]);
        expect((await cluster.certificate(name)).authorityKeyId).toBe(old.subjectKeyId);
      }
      await expect(cluster.rotate('finish')).rejects.toThrow(/is not in use yet; run certs rotate-ca switch first/);
      await cluster.rotate('switch');
      expect((await cluster.certificate(CA, 'ca.crt')).serialNumber).toBe(next.serialNumber);
      const switched = await cluster.versions();
      await cluster.rotate('switch');
      await cluster.generate();
      expect(await cluster.versions()).toEqual(switched);
      for (const name of LEAVES) {
        expect(await cluster.trusted(name)).toEqual([next.serialNumber, old.serialNumber]);
        expect((await cluster.certificate(name)).authorityKeyId).toBe(next.subjectKeyId);
      }
      await expect(cluster.rotate('prepare')).rejects.toThrow(
        /previous rotation is not finished; run certs rotate-ca finish first/,
      );
      await expect(cluster.rotate('abort')).rejects.toThrow(/already in use and cannot be dropped/);
      await cluster.rotate('finish');
      expect(Object.keys((await cluster.secret(CA)).data).sort()).toEqual(['ca.crt', 'ca.key']);
      for (const name of LEAVES) expect(await cluster.trusted(name)).toEqual([next.serialNumber]);
      const finished = await cluster.versions();
      await cluster.rotate('finish');
      expect(await cluster.versions()).toEqual(finished);
      expect(await cluster.check()).toMatchObject({ verdict: 'ok' });
    });

    test('a prepared rotation can be dropped', async () => {
      await fresh();
      const own = await cluster.trusted(SERVER);
      await cluster.rotate('prepare');
      await cluster.rotate('abort');
      expect(await cluster.trusted(SERVER)).toEqual(own);
      expect(await cluster.check()).toMatchObject({ verdict: 'ok' });
    });

    test('no step is taken before every Secret has followed the one before', async () => {
      await fresh();
      await cluster.rotate('prepare');
      const bundle = await cluster.value(LOCAL, 'ca.crt');
      await cluster.spoil(LOCAL, { 'ca.crt': await cluster.value(CA, 'ca.crt') });
      const before = await cluster.versions();
      await expect(cluster.rotate('switch')).rejects.toThrow(
        /local-cert do not trust the next CA; run certs rotate-ca prepare; nothing was changed/,
      );
      expect(await cluster.versions()).toEqual(before);
      await cluster.spoil(LOCAL, { 'ca.crt': bundle });
      const old = { 'tls.crt': await cluster.value(LOCAL, 'tls.crt'), 'tls.key': await cluster.value(LOCAL, 'tls.key') };
      await cluster.rotate('switch');
      await cluster.spoil(LOCAL, old);
      await expect(cluster.rotate('finish')).rejects.toThrow(
        /local-cert have no certificate of the new CA; run certs rotate-ca switch/,
      );
      await cluster.rotate('switch');
      await cluster.rotate('finish');
    });

    test('a copy of the Secret of the CA carries the rotation into a cluster of the same CA', async () => {
      const east = await fresh();
      const west = await certs.world.namespace();
      const copy = async () => {
        const { data } = await east.secret(CA);
        await certs.world.kubernetes.requests.delete(west.path(CA));
        await certs.world.kubernetes.requests.create(west.path(), { metadata: { name: CA }, data });
      };
      await copy();
      await west.generate();
      for (const step of ['prepare', 'switch', 'finish'] as const) {
        await east.rotate(step);
        await copy();
        await west.rotate(step);
        expect(await west.trusted(SERVER)).toEqual(await east.trusted(SERVER));
        expect((await west.certificate(SERVER)).authorityKeyId).toBe((await east.certificate(SERVER)).authorityKeyId);
      }
      expect(await west.check()).toMatchObject({ verdict: 'ok' });
    });

    test('a CA or a Secret that is managed elsewhere is named before anything is changed', async () => {
      await fresh();
      await cluster.patch(CA, { metadata: HELM });
      await cluster.patch(CA, { metadata: { labels: { 'app.kubernetes.io/managed-by': 'Helm' } } });
      await cluster.patch(LOCAL, { metadata: { ...CERT_MANAGER, labels: null } });
      const before = await cluster.versions();
      await expect(cluster.rotate('prepare')).rejects.toThrow(
        /cilium-ca \(Helm\), .*local-cert \(cert-manager\); .*nothing was changed/,
      );
      expect(await cluster.versions()).toEqual(before);
      await cluster.rotate('prepare', '--overwrite-foreign');
    });
  },
);
