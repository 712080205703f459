import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatDuration, parseDurationMs } from '../../src/shared/duration.ts';

test.each([
  ['0', 0],
  ['15m0s', 900_000],
  ['1h30m', 5_400_000],
  ['500ms', 500],
  ['1.5s', 1_500],
  ['.5s', 500],
  ['-2s', -2_000],
  ['+2s', 2_000],
  ['2562047h', 9_223_369_200_000],
  ['250us', 0.25],
])('%s is a duration', (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms);
});

test.each(['', '15', 's', '1m x', '1 m', '1d', '1s2', '--1s', '1e3s', 'ms'])('%j is no duration', (text) => {
  expect(parseDurationMs(text)).toBeUndefined();
});

test('every whole number of milliseconds survives being written and read', () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e12, max: 1e12 }), (ms) => {
      expect(parseDurationMs(formatDuration(ms))).toBeCloseTo(ms, 3);
    }),
  );
});
