/**
 * The daemon after the original: etcd holds what the original wrote of the same objects, under its lease, and is left as
 * it is. The values of endpoint slices are the recorded ones, which another encoder has packed.
 */

import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { keyOf } from '../../src/shared/etcd/types.ts';
import { readScenario, recordedDump } from '../golden/apiserver/recording/scenario.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { readManifests } from '../support/kubernetes/kubernetes-provider.ts';
import { DaemonRig } from './clustermesh-fixture.ts';

/** Scenarios whose first step is nothing but objects, with many slices among them. */
const SCENARIOS = ['svc-basic', 'svc-slices-multi', 'svc-dualstack', 'v2-only-endpointslice', 'nodes-basic', 'endpoints-basic'];

describe.skipIf(etcdVersions().length === 0)('taking over from the original (needs an etcd)', () => {
  test.each(SCENARIOS)('writes nothing that is there: %s', async (name) => {
    const scenario = readScenario(name);
    await using rig = await DaemonRig.start();
    for (const action of scenario.steps[0]?.actions ?? []) {
      if (action.type === 'apply') await rig.create(...readManifests(join(scenario.directory, action.file)));
    }
    const state = recordedDump(scenario, 1).filter(({ key }) => key.startsWith('cilium/state/'));
    const lease = await rig.client.grantLease(900, { signal: AbortSignal.timeout(60_000) });
    for (const { key, value } of state) {
      const bytes = typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.base64, 'base64');
      await rig.client.txn([{ type: 'put', key: keyOf(key), value: bytes, lease }], { signal: AbortSignal.timeout(60_000) });
    }
    const before = await rig.keys('cilium/state/');
    expect(before.length).toBeGreaterThan(0);
    const { clusterName, clusterId } = scenario.flags;
    const isSlicesOnly = name === 'v2-only-endpointslice';
    const mode = isSlicesOnly ? ['--clustermesh-service-v2=only-endpointslice'] : [];
    await rig.readyDaemon(`--cluster-name=${clusterName}`, `--cluster-id=${clusterId}`, ...mode);
    expect(await rig.keys('cilium/state/')).toEqual(before);
  });
});
