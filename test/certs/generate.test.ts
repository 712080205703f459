import { createPrivateKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { certificateOf, certificatesOf } from '../../src/shared/tls/certificate.ts';
import { providerMissing } from '../support/kubernetes/kubernetes-provider.ts';
import { canMakeCertificates } from '../support/tls/certificates.ts';
import { IDENTIFIED, Pki } from '../support/tls/pki.ts';
import { until } from '../support/until.ts';
import {
  ADMIN,
  CA,
  CERT_MANAGER,
  type Cluster,
  certsFixture,
  DAY_MS,
  foreign,
  HELM,
  LEAVES,
  LOCAL,
  REMOTE,
  SERVER,
} from './certs-fixture.ts';

const DOCUMENT = join(import.meta.dirname, '../../docs/commands/certificates.md');

const missing = providerMissing('real');

describe.skipIf(missing !== undefined)(
  `certs generate${missing === undefined ? '' : ` (${missing})`}`,
  { timeout: 60_000 },
  () => {
    const certs = certsFixture();
    let cluster: Cluster;
    const fresh = async (...argv: readonly string[]) => {
      cluster = await certs.generated(...argv);
      return cluster;
    };

    test('the CA and four Secrets are as Cilium’s chart names them, and a second run writes nothing', async () => {
      await fresh();
      const ca = await cluster.certificate(CA, 'ca.crt');
      expect(ca.commonName).toBe('Cilium CA');
      expect((await cluster.secret(CA)).type).toBe('Opaque');
      expect(Object.keys((await cluster.secret(CA)).data).sort()).toEqual(['ca.crt', 'ca.key']);
      const names = {
        [SERVER]: `clustermesh-apiserver.${cluster.name}.svc`,
        [ADMIN]: 'admin-east',
        [REMOTE]: 'remote',
        [LOCAL]: 'local-east',
      };
      for (const name of LEAVES) {
        const secret = await cluster.secret(name);
        expect(secret.type).toBe('kubernetes.io/tls');
        expect(Object.keys(secret.data).sort()).toEqual(['ca.crt', 'tls.crt', 'tls.key']);
        const leaf = await cluster.certificate(name);
        expect(leaf.commonName).toBe(names[name]);
        expect(leaf.x509.verify(ca.x509.publicKey)).toBe(true);
        expect(await cluster.trusted(name)).toEqual([ca.serialNumber]);
        expect(leaf.x509.checkPrivateKey(createPrivateKey(await cluster.value(name, 'tls.key')))).toBe(true);
      }
      const server = await cluster.certificate(SERVER);
      expect(server.dnsNames).toEqual([`clustermesh-apiserver.${cluster.name}.svc`, '*.mesh.cilium.io']);
      expect(server.addresses).toEqual(['127.0.0.1', '::1']);
      const versions = await cluster.versions();
      const lines = await cluster.generate();
      expect(lines.map(({ msg }) => msg)).toEqual(['all certificates are valid and match; nothing was changed']);
      expect(await cluster.versions()).toEqual(versions);
      expect(await cluster.check()).toMatchObject({ verdict: 'ok' });
    });

    test('keys are never logged', async () => {
      await fresh();
      await cluster.rotate('prepare');
      cluster.laterMs = 300 * DAY_MS;
      await cluster.generate();
      const keys = await Promise.all(
        [[CA, 'ca.key'], [CA, 'ca-next.key'], ...LEAVES.map((name) => [name, 'tls.key'])].map(([name = '', key = '']) =>
          cluster.value(name, key),
        ),
      );
      const written = cluster.lines.join('');
      expect(written).toContain('created a certificate');
      for (const key of keys) {
        expect(key).toContain('PRIVATE KEY');
        for (const line of key.split('\n').filter((each) => each.length > 20 && !each.startsWith('---')))
          expect(written).not.toContain(line);
      }
      expect(written).not.toMatch(/PRIVATE/);
    });

    test('certificates are issued again with new keys when a third of their life is left, and not before', async () => {
      await fresh();
      const versions = await cluster.versions();
      const keyBefore = await cluster.value(ADMIN, 'tls.key');
      await cluster.patch(ADMIN, { metadata: { annotations: { mine: 'yes' } }, stringData: { note: 'kept' } });
      cluster.laterMs = 240 * DAY_MS;
      await cluster.generate();
      expect((await cluster.versions())[SERVER]).toBe(versions[SERVER]);
      cluster.laterMs = 246 * DAY_MS;
      expect(await cluster.check()).toMatchObject({ verdict: 'warning' });
      const lines = await cluster.generate();
      expect(lines.map(({ reasons }) => reasons)).toEqual(LEAVES.map(() => ['expires-soon']));
      for (const name of LEAVES)
        expect((await cluster.certificate(name)).notAfterMs).toBeGreaterThan(cluster.nowMs + 364 * DAY_MS);
      expect((await cluster.versions())[CA]).toBe(versions[CA]);
      expect(await cluster.value(ADMIN, 'tls.key')).not.toBe(keyBefore);
      expect((await cluster.secret(ADMIN)).metadata.annotations).toMatchObject({ mine: 'yes' });
      expect(await cluster.value(ADMIN, 'note')).toBe('kept');
      expect(await cluster.check()).toMatchObject({ verdict: 'ok' });
    });

    test('--renew-before takes the place of the third, and may not be so long that each run renews', async () => {
      await fresh('--cert-validity-duration=2400h');
      cluster.laterMs = 80 * DAY_MS;
      expect(await cluster.generate('--cert-validity-duration=2400h', '--renew-before=240h')).toHaveLength(1);
      cluster.laterMs = 91 * DAY_MS;
      expect(await cluster.generate('--cert-validity-duration=2400h', '--renew-before=240h')).toHaveLength(LEAVES.length);
      await expect(cluster.generate('--renew-before=8760h')).rejects.toThrow(/flag --renew-before: every run would renew/);
    });

    test('a certificate that no longer fits its flags is issued again, and no other one', async () => {
      await fresh();
      const extra = ['--extra-dns-names=etcd.example.org', '--extra-ip-addresses=192.0.2.1,2001:db8::1'];
      const lines = await cluster.generate(...extra, '--auth-mode=cluster');
      expect(lines.map(({ secret, reasons }) => [secret, reasons])).toEqual([
        [`${cluster.name}/${SERVER}`, ['san-missing']],
        [`${cluster.name}/${REMOTE}`, ['common-name']],
      ]);
      const server = await cluster.certificate(SERVER);
      expect(server.dnsNames).toContain('etcd.example.org');
      expect(server.addresses).toEqual(['127.0.0.1', '::1', '192.0.2.1', '2001:db8::1']);
      expect((await cluster.certificate(REMOTE)).commonName).toBe('remote-east');
      expect(await cluster.check(...extra)).toMatchObject({ verdict: 'ok' });
    });

    test('the CAs of --extra-ca-file are trusted besides, for which no certificate is issued again', async () => {
      await fresh();
      const serial = (await cluster.certificate(SERVER)).serialNumber;
      const file = join(certs.world.directory, 'extra.crt');
      const other = foreign()['ca.crt'] ?? '';
      writeFileSync(file, other);
      await cluster.generate(`--extra-ca-file=${file}`);
      const ca = await cluster.certificate(CA, 'ca.crt');
      for (const name of LEAVES) {
        expect(await cluster.trusted(name)).toEqual([ca.serialNumber, certificateOf(Buffer.from(other)).serialNumber]);
      }
      expect((await cluster.certificate(SERVER)).serialNumber).toBe(serial);
      writeFileSync(file, 'nothing');
      await expect(cluster.generate(`--extra-ca-file=${file}`)).rejects.toThrow(/--extra-ca-file: .*no certificate found/);
    });

    test('a certificate ends with its CA, is not renewed in vain, and is refused by a CA that has expired', async () => {
      await fresh('--ca-validity-duration=2400h');
      const ca = await cluster.certificate(CA, 'ca.crt');
      expect((await cluster.certificate(SERVER)).notAfterMs).toBe(ca.notAfterMs);
      cluster.laterMs = 90 * DAY_MS;
      const versions = await cluster.versions();
      const lines = await cluster.generate();
      expect(lines.filter(({ level }) => level === 'warn').map(({ msg }) => msg)).toContain(
        'not renewed: the certificate already lasts as long as its CA; rotate the CA: certs rotate-ca prepare',
      );
      expect(await cluster.versions()).toEqual(versions);
      const report = await cluster.check();
      expect(report.secrets[0]?.findings.map(({ code }) => code)).toEqual(['ca-expires-soon']);
      cluster.laterMs = 101 * DAY_MS;
      await expect(cluster.generate()).rejects.toThrow(
        /CN=Cilium CA .* expired .*replace it: certs rotate-ca prepare, switch, finish/,
      );
      for (const step of ['prepare', 'switch', 'finish'] as const) await cluster.rotate(step);
      expect(await cluster.check()).toMatchObject({ verdict: 'ok' });
    });

    test('runs at the same time agree on one CA, and all certificates are of it', async () => {
      cluster = await certs.world.namespace();
      await Promise.all(Array.from({ length: 5 }, () => cluster.generate()));
      expect(await cluster.check()).toMatchObject({ verdict: 'ok' });
      const created = cluster.lines.filter((line) => line.includes('created the CA'));
      expect(created).toHaveLength(1);
      cluster.laterMs = 250 * DAY_MS;
      const before = cluster.lines.length;
      await Promise.all(Array.from({ length: 5 }, () => cluster.generate()));
      const again = cluster.lines.slice(before).filter((line) => line.includes('reissued a certificate'));
      expect(again).toHaveLength(LEAVES.length);
    });

    test.each([
      ['Helm', HELM, /managed by Helm: expired .*renew it there or set --overwrite-foreign/],
      ['cert-manager', CERT_MANAGER, /managed by cert-manager: expired/],
      ['nobody', {}, /managed by another party \(no manager label/],
      [
        'an operator',
        { ownerReferences: [{ apiVersion: 'v1', kind: 'Vault', name: 'x', uid: '1' }] },
        /managed by Vault x: expired/,
      ],
    ])(
      'a Secret of another CA that %s manages is left alone while it works, and named once it does not',
      async (_, metadata, message) => {
        cluster = await certs.world.namespace();
        await cluster.create(ADMIN, foreign(30 * DAY_MS), metadata);
        const { metadata: before } = await cluster.secret(ADMIN);
        await cluster.generate();
        expect((await cluster.secret(ADMIN)).metadata.resourceVersion).toBe(before.resourceVersion);
        cluster.laterMs = 31 * DAY_MS;
        await cluster.world.kubernetes.requests.delete(cluster.path(LOCAL));
        await expect(cluster.generate()).rejects.toThrow(message);
        expect((await cluster.secret(ADMIN)).metadata.resourceVersion).toBe(before.resourceVersion);
        // Those behind it are not held up.
        expect((await cluster.certificate(LOCAL)).commonName).toBe('local-east');
        await cluster.generate('--overwrite-foreign');
        expect((await cluster.check()).secrets.find(({ secret }) => secret.endsWith(ADMIN))).toMatchObject({ verdict: 'ok' });
        // From now on it is ours.
        cluster.laterMs = 300 * DAY_MS;
        expect((await cluster.generate()).map(({ secret }) => secret)).toContain(`${cluster.name}/${ADMIN}`);
      },
    );

    test('a Secret without any label whose certificate is of the CA, as Cilium’s certgen writes it, is taken over', async () => {
      await fresh();
      await cluster.patch(ADMIN, { metadata: { labels: null } });
      const { metadata } = await cluster.secret(ADMIN);
      await cluster.generate();
      expect((await cluster.secret(ADMIN)).metadata.resourceVersion).toBe(metadata.resourceVersion);
      cluster.laterMs = 250 * DAY_MS;
      await cluster.generate();
      expect((await cluster.secret(ADMIN)).metadata.labels).toMatchObject({
        'app.kubernetes.io/managed-by': 'clustermesh-apiserver',
      });
    });

    test('a CA that cannot sign stops everything before anything is written', async () => {
      cluster = await certs.world.namespace();
      const other = foreign();
      await cluster.create(CA, { 'ca.crt': other['ca.crt'] ?? '', 'ca.key': other['tls.key'] ?? '' }, {}, { type: 'Opaque' });
      await expect(cluster.generate()).rejects.toThrow(/cilium-ca: ca.key does not match any certificate in ca.crt/);
      expect(await certs.world.kubernetes.requests.get(cluster.path(SERVER))).toBeUndefined();
      const report = await cluster.check();
      expect(report.secrets.map(({ findings }) => findings[0]?.code)).toEqual([
        'ca-unusable',
        ...LEAVES.map(() => 'secret-missing'),
      ]);
    });

    test('an intermediate CA signs, is sent along, and its root is trusted', async (context) => {
      if (!canMakeCertificates()) context.skip('needs the openssl command, version 3');
      using pki = new Pki();
      const root = pki.authority('Root', IDENTIFIED);
      const issuing = pki.authority('Issuing', IDENTIFIED, root);
      cluster = await certs.world.namespace();
      await cluster.create(CA, { 'ca.crt': issuing.cert + root.cert, 'ca.key': issuing.key }, {}, { type: 'Opaque' });
      await cluster.generate();
      expect(certificatesOf(await cluster.value(SERVER, 'tls.crt')).map(({ subject }) => subject)).toEqual([
        `CN=clustermesh-apiserver.${cluster.name}.svc`,
        'CN=Issuing',
      ]);
      expect(await cluster.trusted(SERVER)).toEqual([certificateOf(Buffer.from(root.cert)).serialNumber]);
      const versions = await cluster.versions();
      await cluster.generate();
      expect(await cluster.versions()).toEqual(versions);
    });

    test('with --ca-generate=false a CA that is missing is not created', async () => {
      cluster = await certs.world.namespace();
      await expect(cluster.generate('--ca-generate=false')).rejects.toThrow(/Secret mesh-\d+\/cilium-ca does not exist/);
      expect(await certs.world.kubernetes.requests.get(cluster.path(CA))).toBeUndefined();
    });

    test('a Secret that another writer changes each time is given up after five attempts, and named', async () => {
      await fresh();
      cluster.laterMs = 250 * DAY_MS;
      let refused = 0;
      const server = createServer((request, response) => {
        const isWrite = request.method === 'PUT';
        if (isWrite) refused += 1;
        const answer = isWrite
          ? Promise.resolve({ code: 409, body: { kind: 'Status', code: 409, message: 'the object has been modified' } })
          : certs.world.kubernetes.requests.send('GET', request.url ?? '');
        void answer.then(({ code, body }) => {
          response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      try {
        await expect(cluster.generate(`--k8s-api-server-urls=${url}`)).rejects.toThrow(
          /server-cert: another writer changed it 5 times in a row; run this again/,
        );
        expect(refused).toBe(5);
      } finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    });

    describe('the rights of a Role', () => {
      const RBAC = 'rbac.authorization.k8s.io';
      const secrets = { apiGroups: [''], resources: ['secrets'] };
      const named = (...verbs: readonly string[]) => ({ ...secrets, resourceNames: [CA, ...LEAVES], verbs });
      const create = { ...secrets, verbs: ['create'] };

      /** A cluster whose runs are those of a service account with `rules`. */
      async function limited(rules: readonly object[]): Promise<Cluster> {
        const limitedTo = await certs.world.namespace();
        const { requests, kubeconfigFile } = certs.world.kubernetes;
        const { name: namespace } = limitedTo;
        const roles = `/apis/${RBAC}/v1/namespaces/${namespace}`;
        const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
        await requests.create(`${roles}/roles`, { metadata: { name: 'certs' }, rules });
        await requests.create(`${roles}/rolebindings`, {
          metadata: { name: 'certs' },
          roleRef: { apiGroup: RBAC, kind: 'Role', name: 'certs' },
          subjects: [{ kind: 'ServiceAccount', name: 'certs', namespace }],
        });
        await requests.create(accounts, { metadata: { name: 'certs' } });
        const { status } = (await requests.create(`${accounts}/certs/token`, { spec: { expirationSeconds: 3_600 } })) as {
          status: { token: string };
        };
        const config = parse(readFileSync(kubeconfigFile, 'utf8')) as object;
        limitedTo.kubeconfig = join(certs.world.directory, `${namespace}.kubeconfig`);
        writeFileSync(limitedTo.kubeconfig, stringify({ ...config, users: [{ name: 'test', user: { token: status.token } }] }), {
          mode: 0o600,
        });
        return limitedTo;
      }

      test('that the document shows are enough for every command', async () => {
        const rules = /```yaml\n(kind: Role\n[^`]*)```/.exec(readFileSync(DOCUMENT, 'utf8'))?.[1] ?? '';
        const own = await limited((parse(rules) as { rules: object[] }).rules);
        await until('the rights hold', () => own.generate());
        for (const step of ['prepare', 'abort', 'prepare', 'switch', 'finish'] as const) await own.rotate(step);
        expect(await own.check()).toMatchObject({ verdict: 'ok' });
        expect((parse(rules) as { rules: object[] }).rules).toEqual([create, named('get', 'update')]);
      });

      test.each([
        ['get', [create, named('update')], /cannot get Secret .*cilium-ca: .*forbidden/],
        ['create', [named('get', 'update')], /cannot create Secret .*cilium-ca: .*forbidden/],
      ])('without the right to %s the first request that needs it is named', async (_, rules, message) => {
        const own = await limited(rules);
        await until('the other rights hold', async () =>
          own.generate().then(
            () => false,
            (error: Error) => message.test(error.message),
          ),
        );
      });

      test('without the right to update nothing is renewed, which is named', async () => {
        const own = await limited([create, named('get')]);
        await until('the rights hold', () => own.generate());
        own.laterMs = 250 * DAY_MS;
        await expect(own.generate()).rejects.toThrow(/cannot update Secret .*server-cert: .*forbidden/);
      });
    });

    test('an immutable Secret and a namespace that does not exist are named with a remedy', async () => {
      await fresh();
      await cluster.patch(ADMIN, { immutable: true });
      cluster.laterMs = 250 * DAY_MS;
      await expect(cluster.generate()).rejects.toThrow(/admin-cert is immutable .*delete it and run this again/);
      await expect(cluster.generate('--namespace=nowhere')).rejects.toThrow(
        /namespace nowhere does not exist; create it, or set --namespace/,
      );
    });
  },
);
