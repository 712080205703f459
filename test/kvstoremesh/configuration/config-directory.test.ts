import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Logger, pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type ConfigChange,
  ConfigDirectory,
  ConfigDirectoryError,
} from '../../../src/kvstoremesh/configuration/config-directory.ts';
import { type ConfigFiles, systemFiles } from '../../../src/kvstoremesh/configuration/config-files.ts';
import { MAX_REMOTE_CLUSTERS } from '../../../src/shared/limits.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

const TIMING = { quietMs: 20, goneMs: 300, pollMs: 200 };
const ENDPOINTS = 'endpoints: [http://127.0.0.1:1]\n';

let directory: string;
let stop: AbortController;
let lines: { level: string; cluster?: string; reason?: string; path?: string; error?: string }[];
let log: Logger;

beforeEach(() => {
  directory = temporaryDirectory('config-directory');
  stop = new AbortController();
  lines = [];
  log = pino({ formatters: { level: (level) => ({ level }) } }, { write: (line: string) => void lines.push(JSON.parse(line)) });
});

afterEach(() => stop.abort());

const write = (name: string, content: string) => writeFileSync(join(directory, name), content);
const replace = (name: string, content: string) => {
  writeFileSync(join(directory, '..tmp'), content);
  renameSync(join(directory, '..tmp'), join(directory, name));
};
const short = (change: ConfigChange) => `${change.kind} ${change.cluster}`;

const optionsFor = (path: string) => ({ path, ownName: 'harbor', clock: systemClock, log, signal: stop.signal });

/** What was reported so far, batch after batch; the first is there when the promise resolves. */
async function watched(timing = TIMING, files: ConfigFiles = systemFiles) {
  const seen: string[] = [];
  const { promise: first, resolve, reject } = Promise.withResolvers<void>();
  const watching = new ConfigDirectory({ ...optionsFor(directory), timing, files });
  const ended = (async () => {
    for await (const batch of watching.changes()) {
      seen.push(...batch.map(short));
      resolve();
    }
  })();
  ended.catch(reject);
  await first;
  return { seen, ended, watching };
}

describe('the configuration directory', () => {
  test('is read at once, and only files with endpoints are clusters', async () => {
    write('berlin', ENDPOINTS);
    write('oslo', '# endpoints:\n');
    write('README', 'nothing here');
    write('common-etcd-client.key', 'x');
    mkdirSync(join(directory, 'a-directory'));
    const { seen } = await watched();
    expect(seen).toEqual(['added berlin', 'added oslo']);
  });

  test('may be empty; files are added, changed and removed while it is watched', async () => {
    const { seen } = await watched();
    expect(seen).toEqual([]);
    write('berlin', ENDPOINTS);
    await until('added', () => seen.length === 1);
    write('berlin', `${ENDPOINTS}# changed\n`);
    await until('changed', () => seen.length === 2);
    write('berlin', `${ENDPOINTS}# changed\n`);
    unlinkSync(join(directory, 'berlin'));
    await until('removed', () => seen.length === 3);
    expect(seen).toEqual(['added berlin', 'changed berlin', 'removed berlin']);
  });

  test('rule 27: reports a file once it has endpoints, and its loss of them as a removal', async () => {
    write('berlin', 'trusted-ca-file: /nowhere\n');
    const { seen } = await watched();
    expect(seen).toEqual([]);
    write('berlin', ENDPOINTS);
    await until('added', () => seen.length === 1);
    write('berlin', 'trusted-ca-file: /nowhere\n');
    await until('removed', () => seen.length === 2);
    expect(seen).toEqual(['added berlin', 'removed berlin']);
  });

  test('rule 30: takes no notice of a file that is empty, half-written or absent for a moment', async () => {
    write('berlin', ENDPOINTS);
    write('oslo', ENDPOINTS);
    const { seen } = await watched({ ...TIMING, goneMs: 5_000 });
    truncateSync(join(directory, 'berlin'));
    unlinkSync(join(directory, 'oslo'));
    // Clusters that come after both were read as gone show that they were, more than once.
    for (const name of ['rome', 'sofia']) {
      write(name, ENDPOINTS);
      await until(`${name} is added`, () => seen.includes(`added ${name}`));
    }
    write('berlin', ENDPOINTS);
    write('oslo', ENDPOINTS);
    write('turku', ENDPOINTS);
    await until('turku is added', () => seen.includes('added turku'));
    expect(seen).toEqual(['added berlin', 'added oslo', 'added rome', 'added sofia', 'added turku']);
  });

  test('rule 26: follows the swaps of a projected Secret, also from the second on', async () => {
    const project = (version: number, files: Record<string, string>) => {
      mkdirSync(join(directory, `..v${version}`));
      for (const [name, content] of Object.entries(files)) write(`..v${version}/${name}`, content);
      symlinkSync(`..v${version}`, join(directory, '..data_tmp'));
      renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
    };
    project(1, { berlin: ENDPOINTS, turku: ENDPOINTS });
    for (const name of ['berlin', 'turku']) symlinkSync(`..data/${name}`, join(directory, name));
    const { seen } = await watched({ ...TIMING, pollMs: 3_600_000 });
    project(2, { berlin: ENDPOINTS, turku: `${ENDPOINTS}# 2\n` });
    await until('the first change', () => seen.length === 3);
    project(3, { berlin: ENDPOINTS, turku: `${ENDPOINTS}# 2\n` });
    project(4, { berlin: `${ENDPOINTS}# 4\n`, turku: `${ENDPOINTS}# 4\n` });
    await until('the second change', () => seen.length === 5);
    project(5, { berlin: ENDPOINTS });
    unlinkSync(join(directory, 'turku'));
    await until('the removal', () => seen.length === 7);
    expect(seen.slice(2)).toEqual(['changed turku', 'changed berlin', 'changed turku', 'changed berlin', 'removed turku']);
  });

  test('detects by polling a change without an event: a file that is changed through a link', async () => {
    const elsewhere = temporaryDirectory('elsewhere');
    writeFileSync(join(elsewhere, 'file'), ENDPOINTS);
    symlinkSync(join(elsewhere, 'file'), join(directory, 'berlin'));
    const { seen } = await watched();
    writeFileSync(join(elsewhere, 'file'), `${ENDPOINTS}# changed\n`);
    await until('changed', () => seen.length === 2);
    expect(seen).toEqual(['added berlin', 'changed berlin']);
  });

  test('rule 28: reports each file with an unusable name once, with the reason, and connects to none of them', async () => {
    for (const name of ['harbor', 'Upper', 'under_score', 'dot.ted', '-lead', 'trail-', 'a'.repeat(33)]) write(name, ENDPOINTS);
    write('a'.repeat(32), ENDPOINTS);
    const { seen } = await watched();
    write('berlin', ENDPOINTS);
    await until('another scan', () => seen.includes('added berlin'));
    expect(seen).toEqual([`added ${'a'.repeat(32)}`, 'added berlin']);
    const reported = lines.filter(({ level }) => level === 'error').map(({ cluster }) => cluster);
    expect(reported.sort()).toEqual(['-lead', 'Upper', 'a'.repeat(33), 'dot.ted', 'trail-', 'under_score'].sort());
  });

  test('has a bound for the number of clusters', async () => {
    for (let index = 0; index <= MAX_REMOTE_CLUSTERS; index += 1) write(`c${String(index).padStart(4, '0')}`, ENDPOINTS);
    const { seen } = await watched();
    expect(seen.length).toBe(MAX_REMOTE_CLUSTERS);
    expect(lines.map(({ cluster }) => cluster)).toEqual([`c${String(MAX_REMOTE_CLUSTERS).padStart(4, '0')}`]);
  });

  test('that is missing at the start is a clear error, and so is none', async () => {
    const missing = join(directory, 'missing');
    for (const path of [missing, '']) {
      const changes = new ConfigDirectory(optionsFor(path)).changes();
      await expect(changes.next()).rejects.toThrow(ConfigDirectoryError);
    }
    await expect(new ConfigDirectory(optionsFor(missing)).changes().next()).rejects.toThrow(
      `--clustermesh-config: ${missing} cannot be read`,
    );
  });

  test('that vanishes later removes no cluster, and is followed again when it is back', async () => {
    write('berlin', ENDPOINTS);
    const { seen } = await watched();
    rmSync(directory, { recursive: true });
    await until('the loss is logged', () => lines.some(({ level }) => level === 'error'));
    mkdirSync(directory);
    write('berlin', ENDPOINTS);
    await until('the return is logged', () => lines.some(({ level }) => level === 'info'));
    replace('berlin', `${ENDPOINTS}# changed\n`);
    await until('changed', () => seen.length === 2);
    expect(seen).toEqual(['added berlin', 'changed berlin']);
  });

  const inPlaceOf = (name: string) => join(directory, name);
  const UNREADABLE = [
    ['ELOOP', () => symlinkSync('berlin', inPlaceOf('berlin')), /^ELOOP: /],
    ['ENOTDIR', () => symlinkSync('../plain/berlin', inPlaceOf('berlin')), /^ENOTDIR: /],
    ['EISDIR', () => mkdirSync(inPlaceOf('berlin')), /^not a regular file$/],
    ['a pipe', () => execFileSync('mkfifo', [inPlaceOf('berlin')]), /^not a regular file$/],
    ['a link into a volume that is not mounted', () => symlinkSync('../gone/berlin', inPlaceOf('berlin')), /volume is mounted/],
  ] as const;

  test.each(UNREADABLE)('keeps a cluster whose file cannot be read: %s', async (_, replaceBy, problem) => {
    const root = directory;
    directory = join(root, 'remotes');
    mkdirSync(directory);
    writeFileSync(join(root, 'plain'), 'no directory');
    write('berlin', ENDPOINTS);
    const { seen } = await watched();
    rmSync(inPlaceOf('berlin'));
    replaceBy();
    await until('it is told', () => seen.includes('unreadable berlin'));
    const line = lines.find(({ level, cluster }) => level === 'error' && cluster === 'berlin');
    expect(line).toMatchObject({ path: inPlaceOf('berlin'), error: expect.stringMatching(problem) });
    // Clusters that come later show that it was looked at again, for longer than a removal takes.
    const laterMs = performance.now() + 2 * TIMING.goneMs;
    for (let round = 0; performance.now() < laterMs; round += 1) {
      write(`later-${round}`, ENDPOINTS);
      await until('a later one is added', () => seen.includes(`added later-${round}`));
    }
    rmSync(inPlaceOf('berlin'), { recursive: true });
    write('berlin', ENDPOINTS);
    await until('it can be read again', () => seen.includes('readable berlin'));
    unlinkSync(inPlaceOf('berlin'));
    await until('it is removed', () => seen.includes('removed berlin'));
    expect(seen.filter((change) => change.endsWith('berlin'))).toEqual([
      ...['added berlin', 'unreadable berlin', 'readable berlin', 'removed berlin'],
    ]);
    rmSync(root, { recursive: true });
  });

  const failing = (code: string, path: string) =>
    Object.assign(new Error(`${code}: it fails, open '${path}'`), { code, errno: -1, syscall: 'open', path });

  test.each(['EACCES', 'EIO', 'EMFILE', 'ENFILE', 'ESTALE', 'EPERM', 'ETIMEDOUT'])(
    'reports a file that fails with %s from the start as a cluster, and its content once it can be read',
    async (code) => {
      let isFailing = true;
      const read = async (path: string) => {
        if (isFailing && /(berlin|key\.pem)$/.test(path)) throw failing(code, path);
        return systemFiles.read(path);
      };
      write('berlin', ENDPOINTS);
      write('key.pem', 'x');
      const { seen } = await watched(TIMING, { ...systemFiles, read });
      expect(seen).toEqual(['unreadable berlin']);
      expect(lines.filter(({ level }) => level === 'error').map(({ error }) => error)).toEqual([`${code}: it fails`]);
      isFailing = false;
      await until('it was read', () => seen.length === 2);
      expect(seen).toEqual(['unreadable berlin', 'changed berlin']);
    },
  );

  test('is polled without reading a file that has the version it had when it was read', async () => {
    write('berlin', ENDPOINTS);
    write('key.pem', 'x');
    const [polls, reads]: [number[], string[]] = [[], []];
    let version = '1';
    const files: ConfigFiles = {
      list: (path) => {
        polls.push(reads.length);
        return systemFiles.list(path);
      },
      read: (path) => {
        reads.push(basename(path));
        return systemFiles.read(path);
      },
      version: async (path) => (path === inPlaceOf('berlin') ? version : undefined),
    };
    await watched(TIMING, files);
    await until('it was polled', () => polls.length === 4);
    // What may have changed unnoticed is read each time.
    expect(reads.filter((name) => name === 'key.pem').length).toBeGreaterThanOrEqual(3);
    expect(reads.filter((name) => name === 'berlin')).toEqual(['berlin']);
    version = '2';
    await until('it is read again', () => reads.filter((name) => name === 'berlin').length === 2);
    // An event counts whatever the system says of versions.
    write('berlin', `${ENDPOINTS}# changed\n`);
    await until('it is read once more', () => reads.filter((name) => name === 'berlin').length >= 3);
  });

  test('that cannot be read at the start is waited for, and what it may name is adopted', async () => {
    let isFailing = true;
    const list = async (path: string) => {
      if (isFailing) throw failing('EACCES', path);
      return systemFiles.list(path);
    };
    write('berlin', ENDPOINTS);
    mkdirSync(inPlaceOf('oslo'));
    const running = watched(TIMING, { ...systemFiles, list });
    await until('the problem is logged', () => lines.some(({ error }) => error === 'EACCES: it fails'));
    isFailing = false;
    const { seen, watching } = await running;
    expect(seen).toEqual(['added berlin']);
    expect(['berlin', 'lima', 'oslo'].map((cluster) => watching.adopt(cluster))).toEqual([false, false, true]);
    await until('the directory in place of a file is told', () => seen.includes('unreadable oslo'));
    isFailing = true;
    await until('the next problem is logged', () => lines.filter(({ error }) => error === 'EACCES: it fails').length === 2);
    expect(watching.adopt('lima')).toBe(true);
    await until('the adopted one is told', () => seen.includes('unreadable lima'));
    isFailing = false;
    await until('it has no file after all', () => seen.includes('removed lima'));
    expect(seen).toEqual(['added berlin', 'unreadable oslo', 'unreadable lima', 'removed lima']);
  });

  test('is left alone when the signal is aborted', async () => {
    const { ended } = await watched();
    stop.abort();
    await ended;
  });
});
