/** The mesh of the tests that plant faults, and what they expect of one fault. */
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { canMakeCertificates } from '../support/tls/certificates.ts';
import { type ExamineOptions, Mesh, shown } from './mesh.ts';
import type { Fault } from './remote-faults.ts';

/** Whether this machine lacks etcd, or the openssl command of version 3. */
export const skipped = !canMakeCertificates() || etcdVersions().length === 0;

/** Of a suite: the mesh that is there while its tests run. It is healthy before each of them. */
export function examinedMesh(): () => Mesh {
  let mesh: Mesh;
  beforeAll(async () => {
    mesh = await Mesh.start();
  });
  afterAll(() => mesh[Symbol.asyncDispose]());
  beforeEach(async () => {
    for (const name of ['harbor', 'berlin', 'oslo'] as const) await mesh.of(name).beat();
  });
  afterEach(() => mesh.heal());
  return () => mesh;
}

/** Plants the fault: the doctor names it and nothing else, with evidence, remedy and command. */
export async function namesOnly(mesh: Mesh, { plant, finding, says }: Fault): Promise<void> {
  const findings = await mesh.examine((await plant(mesh)) as ExamineOptions | undefined);
  expect(shown(findings)).toEqual([finding]);
  const [named] = findings.filter(({ verdict }) => verdict !== 'ok');
  expect(`${named?.evidence} → ${named?.remedy}`).toMatch(says);
  expect(named?.remedy).toMatch(/run: \S+/);
}
