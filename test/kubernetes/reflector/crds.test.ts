/** Waiting for CRDs that come late, or never. */

import { expect } from 'vitest';
import { openConnection } from '../../../src/shared/kubernetes/connection/connection.ts';
import { CrdTimeoutError, KubeForbiddenError, KubeUnreachableError } from '../../../src/shared/kubernetes/errors.ts';
import { CILIUM_ENDPOINTS, CILIUM_NODES } from '../../../src/shared/kubernetes/objects/resources.ts';
import { waitForCrds } from '../../../src/shared/kubernetes/reflector/crds.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { HastyClock } from '../../support/clocks.ts';
import { connectionOptions } from '../../support/kubernetes/connection-options.ts';
import { until, within } from '../../support/until.ts';
import { type FakeApiserver, status } from '../fake-apiserver.ts';
import { apiTest } from '../reflector-fixture.ts';

const CRDS_PATH = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

const test = apiTest((api) => api.collection(CRDS_PATH).put('unrelated.example.org'));

async function wait(
  api: FakeApiserver,
  changes: { timeoutMs?: number; factor?: number; signal?: AbortSignal } = {},
): Promise<void> {
  const { timeoutMs = 300_000, factor = 20, signal = new AbortController().signal } = changes;
  const clock = new HastyClock(factor);
  const connection = await openConnection(connectionOptions({ serverUrls: [api.url], clock }));
  try {
    const resources = [CILIUM_NODES, CILIUM_ENDPOINTS];
    await within('the wait is over', waitForCrds({ connection, resources, timeoutMs, log: silentLogger, clock, signal }));
  } finally {
    await connection.close();
  }
}

test('the wait is over as soon as the last CRD is there, and leaves no socket', async ({ api }) => {
  const waiting = wait(api);
  await until('CRDs are watched', () => api.watchers.size === 1);
  api.collection(CRDS_PATH).put('ciliumnodes.cilium.io');
  api.collection(CRDS_PATH).put('ciliumendpoints.cilium.io');
  await waiting;
  await until('every socket is closed', () => api.sockets.size === 0);
  expect(api.watches[0]?.headers.accept).toContain('as=PartialObjectMetadata');
});

test('CRDs that are there already make no wait', async ({ api }) => {
  api.collection(CRDS_PATH).put('ciliumnodes.cilium.io');
  api.collection(CRDS_PATH).put('ciliumendpoints.cilium.io');
  await wait(api);
});

test('after the time-out the missing ones are named, and only they', async ({ api }) => {
  api.collection(CRDS_PATH).put('ciliumnodes.cilium.io');
  const error: unknown = await wait(api, { timeoutMs: 20_000 }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CrdTimeoutError);
  expect((error as CrdTimeoutError).missing).toEqual(['ciliumendpoints.cilium.io']);
  expect(String(error)).toContain('20 s: ciliumendpoints.cilium.io; is Cilium installed');
});

test('a right that is missing is named with the rule that gives it', async ({ api }) => {
  api.faults.push(status(403, 'Forbidden'));
  const error: unknown = await wait(api, { timeoutMs: 20_000 }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(KubeForbiddenError);
  expect(String(error)).toContain(
    'customresourcedefinitions.apiextensions.k8s.io: add get, list, watch of customresourcedefinitions in API group "apiextensions.k8s.io" to the ClusterRole',
  );
});

test('a right that is given while we wait ends the wait', async ({ api }) => {
  api.collection(CRDS_PATH).put('ciliumnodes.cilium.io');
  api.collection(CRDS_PATH).put('ciliumendpoints.cilium.io');
  api.fail(() => true, status(403, 'Forbidden'), 2);
  await wait(api);
});

test('an unreachable server is reported as such', async ({ api }) => {
  api.faults.push((_, response) => {
    response.socket?.resetAndDestroy();
    return true;
  });
  await expect(wait(api, { timeoutMs: 20_000 })).rejects.toThrow(KubeUnreachableError);
});

test('a cancelled wait throws the reason, and leaves no socket', async ({ api }) => {
  const stop = new AbortController();
  const waiting = wait(api, { signal: stop.signal });
  await until('CRDs are watched', () => api.watchers.size === 1);
  const reason = new Error('the end');
  stop.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await until('every socket is closed', () => api.sockets.size === 0);
});
