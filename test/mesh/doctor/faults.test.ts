/** Each fault is planted alone in a healthy mesh, and several with others: `doctor` names each of them, and nothing else. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { providerMissing } from '../../support/kubernetes/kubernetes-provider.ts';
import { Random } from '../../support/random.ts';
import { type Mesh, meshFixture } from '../mesh-fixture.ts';
import { complaints, examined, makeHealthy, Planting } from './doctor-fixture.ts';
import { CERTIFICATE_FAULTS } from './faults/certificates.ts';
import { CONNECTION_FAULTS } from './faults/connections.ts';
import type { Fault } from './faults/fault.ts';
import { MEMBER_FAULTS } from './faults/members.ts';
import { NETWORK_FAULTS } from './faults/networks.ts';
import { SERVICE_FAULTS } from './faults/services.ts';
import { WORKLOAD_FAULTS } from './faults/workload.ts';

const FAULTS: readonly Fault[] = [
  ...MEMBER_FAULTS,
  ...CERTIFICATE_FAULTS,
  ...CONNECTION_FAULTS,
  ...NETWORK_FAULTS,
  ...WORKLOAD_FAULTS,
  ...SERVICE_FAULTS,
];

const missing = providerMissing('real');

describe.skipIf(missing !== undefined)(`faults${missing === undefined ? '' : ` (${missing})`}`, { timeout: 30_000 }, () => {
  const meshes = meshFixture();
  let mesh: Mesh;
  let planting: Planting;
  beforeAll(async () => {
    mesh = await meshes.installed();
    await makeHealthy(mesh);
    planting = new Planting(mesh);
  }, 60_000);
  afterEach(() => planting.undo());

  test.each(FAULTS.map((fault) => [fault.title, fault] as const))('%s', async (_, fault) => {
    await fault.plant(planting);
    const report = await examined(mesh);
    expect(complaints(report, mesh).toSorted()).toEqual(fault.lines.toSorted());
    const first = report.findings.find(({ verdict, check }) => fault.lines[0]?.startsWith(`${verdict} ${check}:`));
    expect(first?.evidence).toMatch(fault.evidence);
    expect(first?.remedy).toMatch(fault.remedy);
  });

  test.each([1, 2, 3, 4, 5, 6])('three at once, chosen by seed %i', async (seed) => {
    const chosen = independent(new Random(seed), 3);
    for (const fault of chosen) await fault.plant(planting);
    const report = await examined(mesh);
    // Another name changes the subjects of all lines of a cluster.
    const checks = (lines: readonly string[]) => lines.map((line) => line.split(':')[0]).toSorted();
    const titles = chosen.map(({ title }) => title).join('; ');
    expect(checks(complaints(report, mesh)), titles).toEqual(checks(chosen.flatMap(({ lines }) => lines)));
  });
});

/** Faults that change different things. */
function independent(random: Random, count: number): readonly Fault[] {
  const chosen: Fault[] = [];
  while (chosen.length < count) {
    const fault = random.pick(FAULTS);
    const used = chosen.flatMap(({ touches }) => touches);
    if (!fault.touches.some((each) => used.includes(each))) chosen.push(fault);
  }
  return chosen;
}
