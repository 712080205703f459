/** The certificate for the members of a replicated etcd. */
import { describe, expect, test } from 'vitest';
import { providerMissing } from '../support/kubernetes/kubernetes-provider.ts';
import { CA, certsFixture, DAY_MS, PEER, SERVER } from './certs-fixture.ts';

const missing = providerMissing('real');

describe.skipIf(missing !== undefined)(
  `certificates of a replicated etcd${missing === undefined ? '' : ` (${missing})`}`,
  { timeout: 60_000 },
  () => {
    const certs = certsFixture();

    test('are created with --peer only, and then renewed and checked as the others', async () => {
      const cluster = await certs.generated();
      await expect(cluster.secret(PEER)).rejects.toThrow();
      await cluster.generate('--peer', '--cluster-domain=example.org');
      const service = `*.clustermesh-apiserver-peers.${cluster.name}.svc`;
      const leaf = await cluster.certificate(PEER);
      expect(leaf.commonName).toBe('peer-east');
      expect(leaf.dnsNames).toEqual([service, `${service}.example.org`, 'localhost']);
      expect(leaf.addresses).toEqual(['127.0.0.1', '::1']);
      expect((await cluster.secret(PEER)).type).toBe('kubernetes.io/tls');
      expect((await cluster.certificate(SERVER)).dnsNames).toEqual(
        expect.arrayContaining([service, `${service}.example.org`, '*.mesh.cilium.io']),
      );
      expect(await cluster.check('--cluster-domain=example.org')).toMatchObject({ verdict: 'ok' });
      const { secrets } = await cluster.check();
      expect(secrets.filter(({ verdict }) => verdict === 'error').map(({ secret }) => secret.split('/')[1])).toEqual([
        SERVER,
        PEER,
      ]);
      cluster.laterMs = 300 * DAY_MS;
      await cluster.generate('--cluster-domain=example.org');
      expect((await cluster.certificate(PEER)).serialNumber).not.toBe(leaf.serialNumber);
      const { directory } = await cluster.mount(PEER);
      expect(await cluster.check('--cluster-domain=example.org', `--directory=peer=${directory}`)).toMatchObject({
        verdict: 'ok',
      });
    });

    test('follow a rotation of the CA', async () => {
      const cluster = await certs.generated('--peer');
      const old = await cluster.certificate(CA, 'ca.crt');
      await cluster.rotate('prepare');
      const next = await cluster.certificate(CA, 'ca-next.crt');
      expect(await cluster.trusted(PEER)).toEqual([old.serialNumber, next.serialNumber]);
      await cluster.rotate('switch');
      expect((await cluster.certificate(PEER)).authorityKeyId).toBe(next.subjectKeyId);
      await cluster.rotate('finish');
      expect(await cluster.trusted(PEER)).toEqual([next.serialNumber]);
      expect(await cluster.check()).toMatchObject({ verdict: 'ok' });
    });
  },
);
