/** The dashboard as Grafana reads it, from the panels. */
import { type Panel, ROWS, type Row } from './panels.ts';

const DATASOURCE = { type: 'prometheus', uid: '$datasource' };
/** Columns of Grafana's grid. */
const WIDTH = 24;
const ROW_HEIGHT = 1;

/** A name of a variable and the query for its values. `.*` also matches series without the label. */
function variable(name: string, query: string): object {
  return {
    name,
    type: 'query',
    datasource: DATASOURCE,
    query: { query, refId: name },
    definition: query,
    refresh: 2,
    includeAll: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  };
}

interface Position {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

function panelObject({ title, description, kind, unit, queries }: Panel, id: number, gridPos: Position): object {
  return {
    id,
    title,
    description,
    type: kind,
    datasource: DATASOURCE,
    gridPos,
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    options: kind === 'stat' ? { reduceOptions: { calcs: ['lastNotNull'] } } : { legend: { displayMode: 'list' } },
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCodePoint('A'.charCodeAt(0) + index),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
    })),
  };
}

function panelsOf(rows: readonly Row[]): readonly object[] {
  const objects: object[] = [];
  let y = 0;
  for (const { title, panels } of rows) {
    objects.push({ id: objects.length + 1, title, type: 'row', collapsed: false, gridPos: { x: 0, y, w: WIDTH, h: ROW_HEIGHT } });
    y += ROW_HEIGHT;
    const [w, h] = panels.every(({ kind }) => kind === 'stat') ? [4, 4] : [8, 8];
    const columns = WIDTH / w;
    for (const [index, panel] of panels.entries()) {
      const position = { x: (index % columns) * w, y: y + Math.floor(index / columns) * h, w, h };
      objects.push(panelObject(panel, objects.length + 1, position));
    }
    y += Math.ceil(panels.length / columns) * h;
  }
  return objects;
}

/** The text of `files/dashboards/clustermesh-apiserver.json` of the chart. */
export function dashboardText(): string {
  const dashboard = {
    uid: 'clustermesh-apiserver',
    title: 'Cilium / Cluster Mesh',
    tags: ['cilium', 'clustermesh'],
    schemaVersion: 39,
    editable: true,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus' },
        variable('cluster', 'label_values(cilium_clustermesh_apiserver_version, cluster)'),
        variable('job', 'label_values(cilium_clustermesh_apiserver_version, job)'),
      ],
    },
    panels: panelsOf(ROWS),
  };
  return `${JSON.stringify(dashboard, undefined, 2)}\n`;
}
