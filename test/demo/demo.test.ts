import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { until } from '../support/until.ts';
import { DemoRun, TEST_TIMEOUT_MS } from './demo-run.ts';

const missing = [
  ...(etcdVersions().length === 0 ? ['no etcd was found'] : []),
  ...(existsSync('/proc/self/cmdline') ? [] : ['this machine has no /proc to look for processes in']),
];
const has = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

describe.skipIf(missing.length > 0)(`the demo (${missing.join(', ') || 'with real processes'})`, () => {
  test.concurrent('the story ends with status 0, in lines of 100 columns without colours, and leaves nothing behind', {
    timeout: TEST_TIMEOUT_MS,
  }, async () => {
    await using demo = new DemoRun(['--once']);

    expect(await demo.ended, demo.output + demo.errors).toBe(0);

    expect(demo.output).toContain('All 12 steps succeeded');
    expect(demo.output).toContain('the restart caused 0 watch events');
    expect(demo.output).toMatch(/rebel-base +●●● ○○ +●● ○○○ +global/);
    expect(demo.output).toMatch(/rebel-base-private +●● +●● +shared: "false"/);
    expect(demo.output).toMatch(/GET \/v1\/cluster reports not connected, in both clusters: after \d+ s/);
    expect(demo.output).toMatch(/the doctor names it, and what to do:\s+tcp-refused: .* → check the port/s);
    if (!demo.output.includes('No Prometheus'))
      expect(demo.output).toContain('ClusterMeshRemoteNotReady: west: remote cluster east');
    expect(demo.output).not.toContain('\x1b');
    expect(demo.output.split('\n').filter((line) => line.length > 100)).toEqual([]);
    await demo.leavesNothing();
  });

  test
    .skipIf(!has('curl'))
    .concurrent(
      'every line it suggests works, and Ctrl-C removes everything (needs curl)',
      { timeout: TEST_TIMEOUT_MS },
      async () => {
        await using demo = new DemoRun([]);
        await demo.prints('Ctrl-C stops the demo');
        const commands = suggestedCommands(demo.output);
        expect(commands.length).toBeGreaterThan(4);
        const [watch] = commands.filter((command) => command.includes(' watch '));
        const watching =
          watch === undefined ? undefined : spawn('sh', ['-c', `exec ${watch}`], { stdio: ['ignore', 'pipe', 'inherit'] });
        let watched = '';
        watching?.stdout.on('data', (chunk) => {
          watched += String(chunk);
        });
        try {
          for (const command of commands) if (command !== watch) await succeeds(command);
          if (watching !== undefined)
            await until('the watch shows what the other lines changed', () => watched.includes('rebel-base-local'));
        } finally {
          watching?.kill('SIGKILL');
        }
        await demo.prints("west's etcd  − cilium/cache/services/v1/east/clustermesh-demo/rebel-base-local");
        await demo.prints("west's etcd  + cilium/cache/services/v1/east/clustermesh-demo/rebel-base-local");
        if (commands.some((command) => command.includes('delete pod')))
          await demo.prints("west's etcd  − cilium/cache/ip/v1/east/");
        await demo.prints('the kvstoremesh of west is ready again');

        demo.kill('SIGINT');

        expect(await demo.ended, demo.errors).toBe(0);
        await demo.leavesNothing();
      },
    );

  test('a process that dies in the middle of the story fails it, with its name and its log', {
    timeout: TEST_TIMEOUT_MS,
  }, async () => {
    await using demo = new DemoRun(['--once']);
    await demo.prints(/ready: (east|west) after/);
    const [etcd] = demo.processes.filter(({ command }) => command.includes('--name=west'));
    if (etcd === undefined) throw new Error('the etcd of west is not running');

    process.kill(etcd.pid, 'SIGKILL');

    expect(await demo.ended, demo.errors).toBe(1);
    expect(demo.output).toContain('✗ expected: ');
    expect(demo.output).toContain('seen: the etcd of west has ended with SIGKILL');
    expect(demo.output).toMatch(/the kvstoremesh of east \(.*\/kvstoremesh\.log\):/);
    await demo.leavesNothing();
  });

  test('nothing is left behind when the demo itself is killed', { timeout: TEST_TIMEOUT_MS }, async () => {
    await using demo = new DemoRun([]);
    await demo.prints('Start two connected clusters');
    await until('all its processes run', () => demo.processes.filter(({ command }) => !command.includes('guardian')).length >= 6);

    demo.kill('SIGKILL');

    await demo.ended;
    await demo.leavesNothing();
  });

  test('an interrupted story ends with status 130 and leaves nothing behind', { timeout: TEST_TIMEOUT_MS }, async () => {
    await using demo = new DemoRun(['--once']);
    await demo.prints('Start two connected clusters');

    demo.kill('SIGTERM');

    expect(await demo.ended, demo.errors).toBe(130);
    expect(demo.output).not.toContain('✗');
    await demo.leavesNothing();
  });
});

test.each([
  [['--kubeconfig', 'nord=/x'], 'demo: flag --kubeconfig: unknown cluster "nord"; allowed: east=FILE, west=FILE'],
  [['--kubeconfig', 'east='], 'demo: flag --kubeconfig: east has no file; allowed: east=FILE'],
  [['--onec'], 'demo: unknown flag "--onec"; did you mean --once? (--help lists all)'],
  [['story'], 'demo: unexpected argument "story"; only flags are allowed here, such as --name=value'],
])('%j is refused in one clear line, with status 2', async (args, line) => {
  await using demo = new DemoRun(args);
  expect(await demo.ended).toBe(2);
  expect(demo.errors).toBe(`${line}\n`);
});

test('a missing etcd is named in one clear line, with status 1', async () => {
  await using demo = new DemoRun(['--once'], { ETCD_BIN: '/nonexistent/etcd' });
  expect(await demo.ended).toBe(1);
  expect(demo.errors).toMatch(/^demo: ETCD_BIN=\/nonexistent\/etcd is not a working etcd;.*\n$/);
});

test('the help explains changes of real clusters', async () => {
  await using demo = new DemoRun(['--help']);
  expect(await demo.ended).toBe(0);
  expect(demo.output).toContain('only the namespace clustermesh-demo is created');
  expect(demo.output.split('\n').filter((line) => line.length > 100)).toEqual([]);
});

/** The indented lines between the two titles that are commands. */
function suggestedCommands(output: string): string[] {
  const section = output.slice(output.indexOf('The mesh keeps running'), output.indexOf('Changes in both etcds'));
  return [...section.matchAll(/^ {6}(\S.*)$/gm)].map(([, command = '']) => command);
}

/** Runs concurrently with the demo, whose output the test reads. */
async function succeeds(command: string): Promise<void> {
  const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said += String(chunk);
    });
  }
  const status = await new Promise((resolve) => child.on('close', resolve));
  expect(status, `${command}\n${said}`).toBe(0);
  if (!command.startsWith('kill')) expect(said.trim(), command).not.toBe('');
}
