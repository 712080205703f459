import { expect, test } from 'vitest';
import { formatListenAddress, parseListenAddress } from '../../src/shared/http/listen-address.ts';

test.each([
  [':9962', undefined, 9962],
  ['localhost:9889', 'localhost', 9889],
  ['127.0.0.1:0', '127.0.0.1', 0],
  ['[::1]:1', '::1', 1],
  ['0.0.0.0:65535', '0.0.0.0', 65_535],
])('%s is an address', (text, host, port) => {
  expect(parseListenAddress(text)).toEqual({ host, port });
  expect(formatListenAddress({ host, port })).toBe(text);
});

test.each(['', '9962', ':', ':65536', ':-1', '::1:80', '[::1]', 'a b:1', 'http://localhost:1', ':80x', '[x]:1'])(
  '%j is no address',
  (text) => {
    expect(parseListenAddress(text)).toBeUndefined();
  },
);
