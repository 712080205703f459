import { expect, test } from 'vitest';
import { serviceTable } from '../../demo/story/service-table.ts';

test('a dot is a pod: filled for the own cluster, empty for the other one', () => {
  const table = serviceTable([
    { service: 'rebel-base', east: { own: 3, remote: 2 }, west: { own: 2, remote: 3 }, why: 'global' },
    { service: 'rebel-base-private', east: { own: 1, remote: 0 }, west: { own: 0, remote: 0 }, why: '' },
  ]);
  expect(table).toEqual([
    'service              east sees   west sees',
    'rebel-base           ●●● ○○      ●● ○○○      global',
    'rebel-base-private   ●           –',
  ]);
});

test('more pods than can be counted at a glance are a number', () => {
  const [, row] = serviceTable([{ service: 'a', east: { own: 12, remote: 9 }, west: { own: 8, remote: 0 }, why: '' }]);
  expect(row).toBe('a         12×● 9×○    ●●●●●●●●');
});

test('no services are shown as a sentence', () => {
  expect(serviceTable([])).toEqual(['no service in either cluster']);
});
