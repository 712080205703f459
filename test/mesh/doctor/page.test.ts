import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CHECKS } from '../../../src/mesh/doctor/catalogue.ts';
import { CERTIFICATE_FAULTS } from './faults/certificates.ts';
import { CONNECTION_FAULTS } from './faults/connections.ts';
import { MEMBER_FAULTS } from './faults/members.ts';
import { NETWORK_FAULTS } from './faults/networks.ts';
import { SERVICE_FAULTS } from './faults/services.ts';
import { WORKLOAD_FAULTS } from './faults/workload.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../../docs/commands/doctor.md'), 'utf8');

/** Tested elsewhere: they need other clocks, rights or Pods than those of two real API servers. */
const OTHERS = ['cluster-access', 'read-access', 'clock-skew', 'equal-clocks', 'identity-count', 'pod-checks'];

test('every check has its row below its group, in the order of the report', () => {
  const rows = PAGE.split('\n## ')
    .slice(1)
    .flatMap((section) => {
      const [group] = section.split('\n');
      return [...section.matchAll(/^\| `([a-z-]+)` \| (.+) \| (.+) \|$/gm)].map(([, check]) => [check, group]);
    });
  expect(rows).toEqual(Object.entries(CHECKS));
});

test('every check is among those that a planted fault must name', () => {
  const all = [MEMBER_FAULTS, CERTIFICATE_FAULTS, CONNECTION_FAULTS, NETWORK_FAULTS, WORKLOAD_FAULTS, SERVICE_FAULTS].flat();
  const named = all.flatMap(({ lines }) => lines.map((line) => line.split(/[ :]/)[1]));
  expect(Object.keys(CHECKS).filter((check) => !named.includes(check))).toEqual(OTHERS);
});
