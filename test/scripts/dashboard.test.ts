import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dashboardText } from '../../scripts/dashboard/dashboard.ts';
import { ROWS } from '../../scripts/dashboard/panels.ts';

const FILE = join(import.meta.dirname, '../../charts/clustermesh-apiserver/files/dashboards/clustermesh-apiserver.json');

test('the dashboard of the chart is that of the panels', async () => {
  await expect(dashboardText()).toMatchFileSnapshot(FILE);
});

test('every panel has a place of its own in the grid', () => {
  interface Panel {
    readonly id: number;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  }
  const { panels } = JSON.parse(dashboardText()) as { panels: readonly Panel[] };
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, index) => ({ x: x + (index % w), y: y + Math.floor(index / w) })),
  );
  expect(new Set(cells.map(({ x, y }) => `${x} ${y}`)).size).toBe(cells.length);
  expect(cells.filter(({ x }) => x >= 24)).toEqual([]);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
});

test('the panels of a row have different titles, and each has a description', () => {
  for (const { panels } of ROWS) expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
  expect(ROWS.flatMap(({ panels }) => panels).filter(({ description }) => !description.endsWith('.'))).toEqual([]);
});
