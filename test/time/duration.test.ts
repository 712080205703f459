import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatDuration, parseDurationMs } from '../../src/shared/time/duration.ts';

/** What `time.ParseDuration` of Go makes of each text, in nanoseconds. */
test.each([
  ['0', 0],
  ['-0', 0],
  ['+0', 0],
  ['15m', 900e9],
  ['15m0s', 900e9],
  ['1h30m', 5400e9],
  ['1.5h', 5400e9],
  ['500ms', 500e6],
  ['1h1m1.5s', 3_661_500_000_000],
  ['1m1h', 3660e9],
  ['1s1s', 2e9],
  ['.5s', 500e6],
  ['-.5s', -500e6],
  ['1.s', 1e9],
  ['-1s', -1e9],
  ['+5s', 5e9],
  ['1us', 1000],
  ['1\u00b5s', 1000],
  ['1\u03bcs', 1000],
  ['1ns', 1],
  ['0.000000000000000000000000001s', 0],
  ['1.0000000000000000000000000000000s', 1e9],
  ['2562047h', 9_223_369_200_000_000_000],
  ['2562047h47m16.854775807s', 2 ** 63],
  ['-2562047h47m16.854775808s', -(2 ** 63)],
  ['9223372036854775807ns', 2 ** 63],
  ['250us', 250_000],
])('%s is a duration', (text, ns) => {
  expect((parseDurationMs(text) ?? Number.NaN) * 1e6).toBeCloseTo(ns, 3);
});

test.each([
  ...['', '15', 's', '.s', '00', '1m x', '1 m', '1 s', ' 1s', '1s ', '1s\n', '1d', '1S', '1s2', '--1s', '+-1s', '1h-1m'],
  ...['1e3s', '1_0s', '0x1s', '1.5.5s', 'ms', '2562048h', '2562047h47m16.854775808s', '9223372036854775808ns', '3000000h'],
])('%j is no duration', (text) => {
  expect(parseDurationMs(text)).toBeUndefined();
});

test('a number of any length is no duration once it is longer than 292 years', () => {
  expect(parseDurationMs(`${'9'.repeat(100_000)}h`)).toBeUndefined();
  expect(parseDurationMs(`${'0'.repeat(100_000)}1h`)).toBe(3_600_000);
});

test.each([
  [0.25, '250\u00b5s'],
  [0.000_001, '1ns'],
  [1.5, '1.5ms'],
  [-90_500, '-1m30.5s'],
])('%d ms are written as Go writes them', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test('every whole number of milliseconds survives being written and read', () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e12, max: 1e12 }), (ms) => {
      expect(parseDurationMs(formatDuration(ms))).toBeCloseTo(ms, 3);
    }),
  );
});
