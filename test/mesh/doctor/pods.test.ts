/** The checks inside the Pods, run with exec of an API server that answers as a test says. */
import { expect, test } from 'vitest';
import type { Member } from '../../../src/mesh/doctor/facts.ts';
import { podRunner } from '../../../src/mesh/doctor/pod-runner.ts';
import { podFindings } from '../../../src/mesh/doctor/pods.ts';
import { FakePodServer } from '../pod/fake-pod-server.ts';

const [STDOUT, STATUS] = [1, 3];
const FINDING = { check: 'dns', group: 'Reachability', verdict: 'error', subject: 'west', evidence: 'no address', remedy: 'r' };

function member(...running: readonly string[]): Member {
  const containerStatuses = ['etcd', ...running].map((name) => ({ name, state: { running: {} } }));
  const pods = [{ metadata: { name: 'mesh-0' }, status: { containerStatuses } }];
  return { label: 'east', context: 'east', namespace: 'kube-system', pods } as unknown as Member;
}

async function found(server: FakePodServer, facts: Member) {
  await using cluster = await server.cluster();
  const run = podRunner(AbortSignal.timeout(30_000));
  return podFindings(facts, (command) => run(cluster, command));
}

test('findings are read whatever the exit status of the command', async () => {
  await using server = await FakePodServer.start();
  server.answer = (socket) => {
    socket.send(STDOUT, JSON.stringify({ findings: [FINDING] }), 3);
    const exit = { reason: 'NonZeroExitCode', details: { causes: [{ reason: 'ExitCode', message: '1' }] } };
    socket.send(STATUS, JSON.stringify({ status: 'Failure', ...exit }));
  };
  const subject = 'east: Pod kube-system/mesh-0: west';
  expect(await found(server, member('apiserver', 'kvstoremesh'))).toEqual([{ ...FINDING, subject }]);
  expect(await found(server, member('apiserver'))).toEqual([{ ...FINDING, subject }]);
  const commands = server.requests.map(({ url }) => new URL(url ?? '', 'http://server').searchParams.getAll('command')[1]);
  expect(commands).toEqual(['kvstoremesh-dbg', 'clustermesh-dbg']);
});

test('of a Pod in which neither daemon runs nothing is read', async () => {
  await using server = await FakePodServer.start();
  expect(await found(server, member())).toEqual([]);
  expect(server.requests).toEqual([]);
});

test('without the right to run commands in Pods one finding says so', async () => {
  await using server = await FakePodServer.start();
  server.refusal = { status: 403, body: JSON.stringify({ message: 'pods "mesh-0" is forbidden', code: 403 }) };
  expect(await found(server, member('kvstoremesh'))).toMatchObject([
    {
      check: 'pod-checks',
      verdict: 'unknown',
      subject: 'east: Pod kube-system/mesh-0',
      evidence: expect.stringMatching(/cannot be run: .*pods\/exec/),
      remedy: expect.stringMatching(
        /exec mesh-0 --container=kvstoremesh -- \/usr\/bin\/clustermesh-apiserver kvstoremesh-dbg doctor;/,
      ),
    },
  ]);
});
