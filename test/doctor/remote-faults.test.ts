import { describe, expect, test } from 'vitest';
import { examinedMesh, namesOnly, skipped } from './examined-mesh.ts';
import { CONTENT_FAULTS, FILE_FAULTS, SKEW, TLS_FAULTS, WAY_FAULTS } from './remote-faults.ts';

describe.skipIf(skipped)('the doctor names (needs etcd, and the openssl command, version 3)', () => {
  const mesh = examinedMesh();

  test.each([...FILE_FAULTS, ...WAY_FAULTS, ...TLS_FAULTS, ...CONTENT_FAULTS, SKEW])('$name, and nothing else', async (fault) => {
    await namesOnly(mesh(), fault);
  });

  test('nothing about a mesh that has recovered', async () => {
    expect(await mesh().problems()).toEqual([]);
  });
});
