import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { MAX_LOG_LINES_PER_CAUSE } from '../../src/shared/limits.ts';
import { createLogger, type Logger } from '../../src/shared/process/log.ts';

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly cluster?: string;
  readonly leftOut?: number;
  readonly of?: string;
}

let lines: Line[];
let log: Logger;

beforeEach(() => {
  vi.useFakeTimers();
  lines = [];
  log = createLogger({ debug: true, base: {}, destination: { write: (text) => void lines.push(JSON.parse(text)) } });
});
afterEach(() => vi.useRealTimers());

const repeat = (times: number, write: (index: number) => void) => Array.from({ length: times }, (_, index) => write(index));

test('a line that repeats itself is cut short, and what was left out is counted once the minute is over', () => {
  repeat(10_000, (index) => log.warn({ key: `k${index}` }, 'key refused'));
  expect(lines.length).toBe(MAX_LOG_LINES_PER_CAUSE);
  vi.advanceTimersByTime(60_000);
  expect(lines.length).toBe(MAX_LOG_LINES_PER_CAUSE + 1);
  expect(lines.at(-1)).toMatchObject({ level: 'warn', leftOut: 10_000 - MAX_LOG_LINES_PER_CAUSE, of: 'key refused' });
  log.warn('key refused');
  expect(lines.at(-1)).toMatchObject({ msg: 'key refused' });
  vi.advanceTimersByTime(600_000);
  expect(lines.length).toBe(MAX_LOG_LINES_PER_CAUSE + 2);
});

test('one cluster that floods the log leaves the lines of others as they are', () => {
  const east = log.child({ cluster: 'east' });
  repeat(100, () => east.info('connected'));
  log.child({ cluster: 'west' }).info('connected');
  repeat(100, () => log.warn({ cluster: 'north' }, 'key refused'));
  log.warn({ cluster: 'south' }, 'key refused');
  expect(lines.filter(({ cluster }) => cluster === 'east').length).toBe(MAX_LOG_LINES_PER_CAUSE);
  expect(lines.filter(({ cluster }) => cluster === 'north').length).toBe(MAX_LOG_LINES_PER_CAUSE);
  for (const cluster of ['west', 'south']) expect(lines).toContainEqual(expect.objectContaining({ cluster }));
  vi.advanceTimersByTime(60_000);
  expect(lines.at(-2)).toMatchObject({ cluster: 'east', leftOut: 80, of: 'connected' });
});

test('what is logged for a search is never left out', () => {
  repeat(100, () => log.debug('step'));
  expect(lines.length).toBe(100);
});

test('more causes than can be distinguished end the minute early', () => {
  repeat(25, () => log.warn('flood'));
  repeat(20_000, (index) => log.info(`cause ${index}`));
  expect(lines.filter(({ of }) => of === 'flood')).toMatchObject([{ leftOut: 5 }]);
});

test('as text, a line has the time, the level and the message first, and quotes where they are needed', () => {
  const written: string[] = [];
  const base = { daemon: 'kvstoremesh' };
  const text = createLogger({ debug: false, format: 'text', base, destination: { write: (line) => written.push(line) } });
  text.info({ cluster: 'west', flags: { 'cluster-id': 1, list: ['a b'] }, key: '' }, 'remote connected');
  text.child({ etcd: 'local' }).warn({ err: new TypeError('a\n"b"=c\u202e'), left: undefined }, 'retrying');
  expect(written[0]).toMatch(
    /^time=\d{4}-\d\d-\d\dT[\d:.]+Z level=info msg="remote connected" daemon=kvstoremesh cluster=west flags.cluster-id=1 flags.list="\[\\"a b\\"\]" key=""\n$/,
  );
  expect(written[1]).toContain(
    ' level=warn msg=retrying daemon=kvstoremesh etcd=local err.type=TypeError err.message="a\\n\\"b\\"=c\\u{202e}"',
  );
  expect(written.join('').split('\n')).toHaveLength(3);
});
