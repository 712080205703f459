/**
 * The commands of a workstation on two real clusters, which `connect` has joined: they reach Pods through the API server and the
 * kubelet.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../../src/mesh/cluster.ts';
import { ContainerNotRunningError, PodMissingError } from '../../src/mesh/errors.ts';
import { execInPod } from '../../src/mesh/pod/exec.ts';
import { leaderPod } from '../../src/mesh/verbs/leader.ts';
import { clusterMissing } from '../support/cluster/node-programs.ts';
import { type Child, type Outcome, runChild, startChild } from '../support/processes/child.ts';
import { until } from '../support/until.ts';
import { createGlobalService, NAMESPACE } from './cilium.ts';
import { JoinedClusters, READY } from './joined-clusters.ts';

const PROGRAM = join(import.meta.dirname, '../../bin/clustermesh-apiserver');
const OPTIONS = { timeoutMs: 60_000, maxBytes: 1_000_000 };

const missing = clusterMissing();

describe.skipIf(missing !== undefined)(`commands on two clusters${missing === undefined ? '' : ` (${missing})`}`, () => {
  let joined: JoinedClusters;

  beforeAll(async () => {
    const values = { tls: { method: 'cronJob' }, mesh: { renderSecrets: false } };
    joined = await JoinedClusters.start(async (clusters) => {
      await clusters.installChart({ east: values, west: values });
      await until('the certificates are issued', async () => (await mesh(clusters, 'connect')).status === 0, READY);
    });
    await createGlobalService(joined.by.west, 'shop', '10.2.0.1');
    await mirrored('shop');
  }, 1_500_000);

  afterAll(() => joined?.[Symbol.asyncDispose](), 60_000);

  function env(clusters: JoinedClusters): Readonly<Record<string, string>> {
    return { KUBECONFIG: join(clusters.directory, 'kubeconfig') };
  }

  /** Changes both clusters. */
  function mesh(clusters: JoinedClusters, command: string): Promise<Outcome> {
    return runChild(PROGRAM, [command, '--context=east', '--destination-context=west'], { env: env(clusters) });
  }

  function argv(command: string, ...args: readonly string[]): readonly string[] {
    return [...command.split(' '), '--context=east', `--namespace=${NAMESPACE}`, ...args];
  }

  function run(command: string, ...args: readonly string[]): Promise<Outcome> {
    return runChild(PROGRAM, argv(command, ...args), { env: env(joined) });
  }

  function start(command: string, ...args: readonly string[]): Child {
    return startChild(PROGRAM, argv(command, ...args), { env: env(joined) });
  }

  async function mirrored(service: string): Promise<void> {
    const isThere = async () => (await run('kv get services', `default/${service}`, '--cluster=west')).status === 0;
    await until(`${service} of west is in the etcd of east`, isThere, READY);
  }

  async function statusOfWest(): Promise<{ readonly ready?: boolean; readonly quarantine?: { readonly mode: string } }> {
    const [west] = JSON.parse(await joined.fetch('east', 9889, '/v1/cluster').catch(() => inPod())) as readonly object[];
    return west ?? {};
  }

  /** The API listens on the addresses of the Pod itself only, unless a flag says otherwise. */
  async function inPod(): Promise<string> {
    const command = 'clustermesh-apiserver kvstoremesh-dbg status --output=json';
    return joined.kubectl('east', `exec deployment/clustermesh-apiserver --container kvstoremesh -- ${command}`);
  }

  test('a command in a container gives its outputs and its status', async () => {
    const signal = AbortSignal.timeout(120_000);
    const place = { kubeconfig: join(joined.directory, 'kubeconfig'), context: 'east', namespace: NAMESPACE };
    await using cluster = await Cluster.open(place, signal);
    const { pod } = await leaderPod(cluster);
    const target = { pod, container: 'kvstoremesh' };
    const version = await execInPod(
      cluster,
      { ...target, command: ['clustermesh-apiserver', 'version'] },
      { ...OPTIONS, signal },
    );
    expect(version).toEqual({ status: 0, stderr: '', stdout: expect.stringContaining('clustermesh-apiserver') });
    const wrong = await execInPod(cluster, { ...target, command: ['clustermesh-apiserver', 'nonsense'] }, { ...OPTIONS, signal });
    expect(wrong).toEqual({ status: 255, stdout: '', stderr: expect.stringContaining('unknown command "nonsense"') });
    const nowhere = execInPod(cluster, { ...target, container: 'other', command: ['x'] }, { ...OPTIONS, signal });
    await expect(nowhere).rejects.toBeInstanceOf(ContainerNotRunningError);
    const gone = execInPod(cluster, { ...target, pod: 'mesh-0', command: ['x'] }, { ...OPTIONS, signal });
    await expect(gone).rejects.toBeInstanceOf(PodMissingError);
  });

  test('kv lists, decodes and compares the keys of the etcd', async () => {
    const listed = await run('kv list services', '--cluster=west');
    expect(listed).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringContaining('cilium/cache/services/v1/west/default/shop'),
    });
    const got = await run('kv get services', 'default/shop', '--cluster=west', '-o', 'json');
    expect(JSON.parse(got.stdout)).toMatchObject({ value: { cluster: 'west', name: 'shop' } });
    const config = await run('kv get cluster-config', 'west', '-o', 'json');
    expect(JSON.parse(config.stdout)).toMatchObject({ value: { id: 2, capabilities: { cached: true } } });
    expect((await run('kv get services', 'default/nothing')).status).toBe(1);
    const diff = await run('kv diff', 'west');
    expect(diff).toMatchObject({ status: 0, stderr: '', stdout: expect.stringMatching(/^services +equal/m) });
  });

  test('kv watch prints a change that reaches the mirror, and ends in the Pod when it is interrupted', async () => {
    await using watching = start('kv watch services', '--cluster=west', '-o', 'json');
    let tries = 0;
    await until(
      'the change is printed',
      async () => {
        tries += 1;
        await createGlobalService(joined.by.west, `watched-${tries}`, `10.2.1.${tries}`);
        return watching.stdoutSoFar.includes('watched-');
      },
      READY,
    );
    watching.kill('SIGINT');
    expect((await watching.outcome).status).toBe(0);
    const processes = () =>
      joined.kubectl(
        'east',
        `exec deployment/clustermesh-apiserver --container kvstoremesh -- /usr/lib/clustermesh-apiserver/node --print "fs.readdirSync('/proc').filter((pid) => /^[0-9]+$/.test(pid)).map((pid) => { try { return fs.readFileSync('/proc/' + pid + '/cmdline', 'utf8') } catch { return '' } }).join('\\n')"`,
      );
    await until('no watch runs in the Pod', async () => !(await processes()).includes('end-with-input'), READY);
  });

  test('ui forwards a port to the API of kvstoremesh', async () => {
    await using page = start('ui');
    const url = await until('the address is printed', () => /^http:\S+/.exec(page.stdoutSoFar)?.[0], READY);
    const answers = await Promise.all([1, 2, 3].map(async () => (await fetch(`${url}v1/cluster`)).json()));
    for (const answer of answers) expect(answer).toMatchObject([{ name: 'west' }]);
    expect(await (await fetch(url)).text()).toContain('<html');
    page.kill('SIGINT');
    expect((await page.outcome).status).toBe(0);
  });

  test('quarantine freezes the mirror until it is released, and status names it', { timeout: 600_000 }, async () => {
    const begun = await run('quarantine west', '--reason=a test');
    expect(begun).toMatchObject({ status: 0, stdout: expect.stringContaining('the mirror of west is frozen') });
    await until('west is in quarantine', async () => (await statusOfWest()).quarantine?.mode === 'freeze', READY);
    await createGlobalService(joined.by.west, 'late', '10.2.0.9');
    const status = await run('status');
    expect(status).toMatchObject({ status: 1, stdout: expect.stringContaining('in quarantine (freeze)') });
    const differs = async () =>
      (await run('kv diff', 'west', 'services')).stdout.includes(
        'missing in the mirror: cilium/cache/services/v1/west/default/late',
      );
    await until('the diff names what is missing', differs, READY);
    expect((await run('quarantine west', '--release')).status).toBe(0);
    await mirrored('late');
    expect((await run('kv diff', 'west')).status).toBe(0);
  });

  test('doctor checks both clusters and their Pods, and finds no error', async () => {
    const { status, stdout, stderr } = await run('doctor', '--destination-context=west', '-o', 'json');
    interface Finding {
      readonly check: string;
      readonly verdict: string;
      readonly subject: string;
    }
    const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
    expect(findings.filter(({ verdict }) => verdict === 'error')).toEqual([]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const inPods = findings.filter(({ subject }) => / Pod \S*clustermesh-apiserver-/.test(subject));
    expect(
      inPods.map(({ verdict }) => verdict),
      stdout,
    ).toContain('ok');
    expect(inPods.filter(({ verdict }) => verdict === 'unknown')).toEqual([]);
  });

  test('disconnect ends the connection', { timeout: 600_000 }, async () => {
    expect((await mesh(joined, 'disconnect')).status).toBe(0);
    await until('east has no remote cluster', async () => (await inPod()).trim() === '[]', READY);
  });
});
