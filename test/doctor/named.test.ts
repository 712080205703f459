import { expect, test } from 'vitest';
import type { RemotePhase } from '../../src/kvstoremesh/remote/state.ts';
import { remoteProblems } from '../../src/kvstoremesh/status/remote-problems.ts';
import type { PodCheckId } from '../../src/shared/diagnosis/pod-checks.ts';
import {
  checkOf,
  DeadlineError,
  EtcdConfigError,
  NoLeaderError,
  PermissionDeniedError,
  TlsError,
  UnauthenticatedError,
  UnavailableError,
} from '../../src/shared/etcd/errors.ts';

test.each<[Error, PodCheckId]>([
  [new UnavailableError('getaddrinfo EAI_AGAIN x.test'), 'dns'],
  [new UnavailableError('connect ECONNREFUSED 192.0.2.1:2379'), 'tcp-refused'],
  [new UnavailableError('connect EHOSTUNREACH 192.0.2.1:2379'), 'tcp-route'],
  [new UnavailableError('no connection to x.test at 192.0.2.1:2379 within 2000 ms'), 'tcp-silent'],
  [new UnavailableError('read ECONNRESET'), 'tcp-closed'],
  [new UnavailableError('connected to 192.0.2.1:2379, but no response within 5000 ms'), 'tls-handshake'],
  [new TlsError('the certificate of the server is not trusted: certificate has expired (CERT_HAS_EXPIRED)'), 'tls-expired'],
  [
    new TlsError('the certificate of the server is not trusted: certificate is not yet valid (CERT_NOT_YET_VALID)'),
    'tls-not-yet-valid',
  ],
  [new TlsError('the certificate of the server is not trusted: unsuitable certificate purpose (INVALID_PURPOSE)'), 'tls-usage'],
  [new TlsError('error:0A000412:SSL routines::sslv3 alert bad certificate:SSL alert number 42'), 'tls-client'],
  [new TlsError('error:0A00010B:SSL routines::wrong version number'), 'tls-mismatch'],
  [new NoLeaderError('etcdserver: no leader'), 'etcd-leader'],
  [new PermissionDeniedError(), 'permission'],
  [new UnauthenticatedError('user name is empty'), 'permission'],
  [new EtcdConfigError('etcd configuration /x:3: no URL'), 'config-file'],
  [new DeadlineError('Range', 1_000), 'etcd-unavailable'],
])('%s', (error, check) => {
  expect(checkOf(error)).toBe(check);
});

const CONFIG = {
  id: 7,
  syncedCanaries: true,
  cached: false,
  maxConnectedClusters: 255,
  serviceExportsEnabled: true,
  endpointSlicesExportMode: '',
};

test('a remote that is mirrored has the problems of its heartbeat, and none where it is well', () => {
  const own = { name: 'harbor', id: 200, maxConnectedClusters: 255 };
  const phase: RemotePhase = { kind: 'mirroring', etcdClusterId: '1', config: CONFIG, reason: undefined };
  const state = { phase, failures: 0, lastFailureMs: undefined, isSilent: false, hasBegun: true };
  const remote = { name: 'berlin', state, connectionError: undefined };
  expect(remoteProblems([remote], own)).toEqual([]);
  expect(remoteProblems([{ ...remote, state: { ...state, isSilent: true } }], own)).toMatchObject([
    { check: 'heartbeat', subject: 'berlin', isLogged: true, remedy: expect.stringContaining('in cluster berlin: kubectl') },
  ]);
  const old = { ...phase, config: { ...CONFIG, syncedCanaries: false, maxConnectedClusters: 0 } };
  expect(remoteProblems([{ ...remote, state: { ...state, phase: old } }], own)).toMatchObject([
    { check: 'capabilities', verdict: 'warning', isLogged: false },
  ]);
});
