/** Statuses of the API server, and the errors they become. */
import { expect, test } from 'vitest';
import { MAX_KUBE_RETRY_AFTER_MS } from '../../../src/shared/kubernetes/limits.ts';
import {
  CILIUM_NODES,
  collectionPath,
  endpointSlicesOf,
  NAMESPACES,
  resourceName,
  servicesOf,
} from '../../../src/shared/kubernetes/objects/resources.ts';
import { statusError } from '../../../src/shared/kubernetes/objects/status.ts';

const LIST = { verb: 'list', resource: CILIUM_NODES } as const;
const tooLarge = { details: { causes: [{ reason: 'ResourceVersionTooLarge' }] } };

const table: ReadonlyArray<readonly [status: number, body: unknown, code: string, retriable: boolean]> = [
  [400, { reason: 'BadRequest', message: 'no' }, 'KUBE_STATUS', false],
  [401, { reason: 'Unauthorized' }, 'KUBE_UNAUTHORIZED', true],
  [403, { reason: 'Forbidden' }, 'KUBE_FORBIDDEN', true],
  [404, undefined, 'KUBE_MISSING', true],
  [410, undefined, 'KUBE_EXPIRED', false],
  [500, { code: 410, reason: 'Gone' }, 'KUBE_EXPIRED', false],
  [200, { reason: 'Expired' }, 'KUBE_EXPIRED', false],
  [429, 'not a status', 'KUBE_THROTTLED', true],
  [500, { message: 12, details: null }, 'KUBE_STATUS', true],
  [503, { reason: 'ServiceUnavailable' }, 'KUBE_STATUS', true],
  [503, { details: { retryAfterSeconds: 2 } }, 'KUBE_THROTTLED', true],
  [504, tooLarge, 'KUBE_FUTURE_VERSION', false],
  [504, { reason: 'Timeout', message: 'Too large resource version: 9, current: 3' }, 'KUBE_FUTURE_VERSION', false],
  [504, { reason: 'Timeout', message: 'timed out' }, 'KUBE_STATUS', true],
];

test.for(table)('%i with %j is %s', ([status, body, code, retriable]) => {
  expect(statusError(LIST, status, body)).toMatchObject({
    code,
    retriable,
    message: expect.stringContaining('cannot list ciliumnodes.cilium.io'),
  });
});

test('the time to wait comes from the header, else from the status, and has a bound', () => {
  const body = { details: { retryAfterSeconds: 7 } };
  expect(statusError(LIST, 429, body, '3').retryAfterMs).toBe(3_000);
  expect(statusError(LIST, 429, body).retryAfterMs).toBe(7_000);
  expect(statusError(LIST, 429, undefined, 'Wed, 21 Oct 2026 07:28:00 GMT').retryAfterMs).toBeUndefined();
  expect(statusError(LIST, 429, undefined, '99999999').retryAfterMs).toBe(MAX_KUBE_RETRY_AFTER_MS);
  expect(statusError(LIST, 500, undefined, '3').retryAfterMs).toBeUndefined();
});

test('a denied request names the rule to add', () => {
  expect(statusError(LIST, 403, { message: 'User "x" cannot list' }).message).toBe(
    'cannot list ciliumnodes.cilium.io: add get, list, watch of ciliumnodes in API group "cilium.io" to the ClusterRole',
  );
});

test('a message of the server is cut', () => {
  expect(statusError(LIST, 500, { message: 'x'.repeat(10_000) }).message.length).toBeLessThan(600);
});

test('collections have the path of their group, and the core group its own', () => {
  expect(collectionPath(CILIUM_NODES)).toBe('/apis/cilium.io/v2/ciliumnodes');
  expect(collectionPath(NAMESPACES)).toBe('/api/v1/namespaces');
  expect(resourceName(NAMESPACES)).toBe('namespaces');
});

test('services and their slices are selected by their proxy, and mirrored slices never', () => {
  const label = 'service.kubernetes.io/service-proxy-name';
  const notMirrored = 'endpointslice.kubernetes.io/managed-by!=endpointslice-mesh-controller.cilium.io';
  expect(servicesOf('').labelSelector).toBe(`!${label}`);
  expect(servicesOf('mine').labelSelector).toBe(`${label}=mine`);
  expect(endpointSlicesOf('').labelSelector).toBe(`!${label},${notMirrored}`);
  expect(endpointSlicesOf('mine').labelSelector).toBe(`${label}=mine,${notMirrored}`);
});
