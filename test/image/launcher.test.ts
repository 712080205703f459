/** PID 1 of the image: signals at any age, orphans, the exit status, and the heap it gives to Node. */
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { childrenOf } from '../support/containers/image-engine.ts';
import { startChild } from '../support/processes/child.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until, within } from '../support/until.ts';
import { engine, imageTest, RESTRICTED, root } from './image-test.ts';

/** A daemon whose etcd does not answer, with ports of its own: it runs until it is told to end. */
const DAEMON = [
  'kvstoremesh',
  '--cluster-name=east',
  '--cluster-id=1',
  '--kvstore-opt=etcd.address=http://127.0.0.1:1',
  '--clustermesh-config=/tmp',
  '--health-port=0',
  '--api-serve-addr=127.0.0.1:0',
];
/** Far below the 30 seconds after which a kubelet kills. */
const PROMPT_MS = 10_000;
const ENDED_BEFORE_NODE_LISTENED = 143;
const MIB = 1024 * 1024;

const directory = temporaryDirectory('launcher');

/** A program that Node runs before the daemon. */
const preload = (code: string) => `--env=NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(code)}`;

/** Whether the process is the launcher, past its first instructions: what comes before, the kernel drops for every PID 1. */
function isUp(pid: number): boolean {
  if (!readlinkSync(`/proc/${pid}/exe`).endsWith('/usr/bin/clustermesh-apiserver')) return false;
  // While it waits for signals the kernel shows none of them as blocked; then it has a child.
  return childrenOf(pid).length > 0 || !/^SigBlk:\t0+$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

/** The launcher as PID 1 of a namespace of its own, without the time that an engine takes. */
function startAlone(args: readonly string[]) {
  const namespace = ['--pid', '--fork', '--kill-child', 'chroot', root];
  const child = startChild('unshare', [...namespace, '/usr/bin/clustermesh-apiserver', ...args]);
  return { child, launcher: () => childrenOf(child.pid).find(isUp) };
}

describe('SIGTERM', () => {
  imageTest('ends PID 1 at any age', async () => {
    const ages = Array.from({ length: 21 }, (_, step) => step * 50);
    const statuses = new Map<number, number | undefined>();
    const endAt = async (age: number) => {
      const { child, launcher } = startAlone(DAEMON);
      await using _ = child;
      const pid = await until('the launcher runs', launcher);
      await pause(age);
      process.kill(pid, 'SIGTERM');
      const { status } = await within(`it ends after SIGTERM at the age of ${age} ms`, child.outcome, PROMPT_MS);
      statuses.set(age, status);
    };
    for (let first = 0; first < ages.length; first += 3) await Promise.all(ages.slice(first, first + 3).map(endAt));
    expect(statuses.get(0)).toBe(ENDED_BEFORE_NODE_LISTENED);
    expect([...statuses].filter(([, status]) => status !== 0 && status !== ENDED_BEFORE_NODE_LISTENED)).toEqual([]);
  });

  imageTest('ends a container right after its start, and one whose daemon runs with status 0', async () => {
    const early = await engine.start(RESTRICTED, DAEMON);
    const pid = await early.pid();
    await until('the launcher runs', () => isUp(pid));
    await early.kill('SIGTERM');
    expect([0, ENDED_BEFORE_NODE_LISTENED]).toContain(await within('the container ends', early.ended(), PROMPT_MS));

    const later = await engine.start(RESTRICTED, DAEMON);
    await until('the daemon runs', async () => /"msg":/.test(await later.logs()));
    await later.kill('SIGTERM');
    expect(await within('the container ends', later.ended(), PROMPT_MS)).toBe(0);
  });
});

describe('the exit status', () => {
  imageTest('is that of the program', async () => {
    expect(await engine.runImage(RESTRICTED, ['no-such-command'])).toMatchObject({ status: 255 });
    expect(await engine.runImage([...RESTRICTED, preload('process.exit(7)')], ['version'])).toMatchObject({
      status: 7,
    });
  });

  imageTest('is 128 and the number of the signal that ended the program', async () => {
    const killed = await engine.start([...RESTRICTED, preload('process.kill(process.pid, "SIGKILL")')], ['version']);
    expect(await killed.ended()).toBe(137);
  });
});

imageTest('other signals reach the program', async () => {
  const code =
    'process.on("SIGHUP", () => process.exit(21)); console.log("listening"); setInterval(() => {}, 1000); await new Promise(() => {})';
  const container = await engine.start([...RESTRICTED, preload(code)], ['version']);
  await until('the program listens', async () => (await container.logs()).includes('listening'));
  await container.kill('SIGHUP');
  expect(await container.ended()).toBe(21);
});

imageTest('SIGUSR1 opens no port for a debugger', async () => {
  const container = await engine.start([...RESTRICTED], DAEMON);
  await until('the daemon runs', async () => /"msg":/.test(await container.logs()));
  await container.kill('SIGUSR1');
  await container.kill('SIGTERM');
  expect(await container.ended()).toBe(0);
  expect(await container.logs()).not.toContain('Debugger');
});

imageTest('an orphan is reaped', async () => {
  // It outlives its parent by two seconds.
  const orphan = 'setTimeout(() => {}, 2000)';
  const spawn = (code: string, options: string) =>
    `spawn(process.execPath, ["-e", ${JSON.stringify(code)}], {${options}, env: {}})`;
  const parent = `const { spawn } = require("child_process"); ${spawn(orphan, 'detached: true, stdio: "ignore"')}.unref()`;
  const code = `import { spawn } from "node:child_process"; ${spawn(parent, 'stdio: "ignore"')}`;
  const container = await engine.start([...RESTRICTED, preload(code)], DAEMON);
  const launcher = await container.pid();
  await until('PID 1 has the orphan beside the program', () => childrenOf(launcher).length === 2);
  await until('it is gone', () => childrenOf(launcher).length === 1);
});

describe('the heap', () => {
  /** In MiB: what Node says itself. Its limit has three halves of the young space in it. */
  const limitOf = async (...options: readonly string[]) => {
    const code = 'import v8 from "node:v8"; console.log("limit " + v8.getHeapStatistics().heap_size_limit); process.exit(0)';
    const { stdout, stderr } = await engine.runImage(['--network=none', preload(code), ...options], ['version']);
    const found = /^limit (\d+)$/m.exec(stdout)?.[1];
    if (found === undefined) throw new Error(stderr);
    return Number(found) / MIB;
  };

  imageTest('is about half of the memory of the container', async () => {
    // (256 - 48) / 2 and (1024 - 48) / 2, and three times 2.
    expect(await limitOf('--memory=256m')).toBe(110);
    expect(await limitOf('--memory=1024m')).toBe(494);
  });

  imageTest('has a limit where the container has none', async () => {
    const limit = await limitOf();
    expect(limit).toBeGreaterThan(256);
    expect(limit).toBeLessThanOrEqual(2048 + 48);
  });

  imageTest('is what NODE_OPTIONS says, where it says something', async () => {
    const code = encodeURIComponent(
      'import v8 from "node:v8"; console.log(v8.getHeapStatistics().heap_size_limit); process.exit(0)',
    );
    const options = `--env=NODE_OPTIONS=--max_old_space_size=300 --max-semi-space-size=2 --import=data:text/javascript,${code}`;
    const { stdout } = await engine.runImage(['--network=none', '--memory=256m', options], ['version']);
    expect(Number(stdout) / MIB).toBe(306);
  });

  imageTest('follows what both versions of cgroup say, and no number means no limit', async () => {
    const file = join(directory, 'limit');
    const limitFor = (text: string) => {
      writeFileSync(file, text);
      return limitOf(`--volume=${file}:/limit:ro`, '--env=CLUSTERMESH_MEMORY_LIMIT_FILE=/limit');
    };
    const unlimited = await limitOf();
    expect(await limitFor('134217728\n')).toBe(46);
    expect(await limitFor('max\n')).toBe(unlimited);
    expect(await limitFor('9223372036854771712\n')).toBe(unlimited);
  });
});
