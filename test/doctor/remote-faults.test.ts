import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { canMakeCertificates } from '../support/tls/certificates.ts';
import { type ExamineOptions, Mesh, shown } from './mesh.ts';
import { CONTENT_FAULTS, FILE_FAULTS, SKEW, TLS_FAULTS, WAY_FAULTS } from './remote-faults.ts';

const skipped = !canMakeCertificates() || etcdVersions().length === 0;

describe.skipIf(skipped)('the doctor names (needs etcd, and the openssl command, version 3)', () => {
  let mesh: Mesh;

  beforeAll(async () => {
    mesh = await Mesh.start();
  });
  afterAll(() => mesh[Symbol.asyncDispose]());
  beforeEach(async () => {
    for (const name of ['harbor', 'berlin', 'oslo'] as const) await mesh.of(name).beat();
  });
  afterEach(() => mesh.heal());

  test.each([...FILE_FAULTS, ...WAY_FAULTS, ...TLS_FAULTS, ...CONTENT_FAULTS, SKEW])(
    '$name, and nothing else',
    async ({ plant, finding, says }) => {
      const findings = await mesh.examine((await plant(mesh)) as ExamineOptions | undefined);
      expect(shown(findings)).toEqual([finding]);
      const [named] = findings.filter(({ verdict }) => verdict !== 'ok');
      expect(`${named?.evidence} → ${named?.remedy}`).toMatch(says);
      expect(named?.remedy).toMatch(/run: \S+/);
    },
  );

  test('nothing about a mesh that has recovered', async () => {
    expect(await mesh.problems()).toEqual([]);
  });
});
