import { beforeAll, describe, expect, test } from 'vitest';
import { providerMissing } from '../../support/kubernetes/kubernetes-provider.ts';
import { type Mesh, meshFixture } from '../mesh-fixture.ts';
import { complaints, examined, makeHealthy } from './doctor-fixture.ts';

const missing = providerMissing('real');

describe.skipIf(missing !== undefined)(`doctor${missing === undefined ? '' : ` (${missing})`}`, { timeout: 60_000 }, () => {
  const meshes = meshFixture();
  let mesh: Mesh;
  beforeAll(async () => {
    mesh = await meshes.installed();
    await makeHealthy(mesh);
  }, 60_000);

  test('of a healthy mesh nothing is reported', async () => {
    const report = await examined(mesh);
    expect(complaints(report, mesh)).toEqual([]);
    expect(report.verdict).toBe('ok');
  });
});
