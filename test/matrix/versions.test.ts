/** Every version of etcd that meshes run, plain and with certificates and users: the same story in each. */
import { describe, expect, test } from 'vitest';
import { FULL } from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';
import { Cell, type CellOptions, cellMissing } from './cell.ts';

const CELLS: readonly CellOptions[] = ['3.4', '3.5', '3.6', '3.7'].flatMap((version) =>
  (['plain', 'certificates and users'] as const).map((security) => ({ version, security })),
);

const SCOPES = ['nodes', 'identities', 'ip', 'services', 'endpointslices', 'serviceexports'] as const;

/** One key of each kind in the source, and what it is mirrored to. */
const SOURCE = [
  ['nodes/v1/berlin/n', 'nodes/v1/berlin/n'],
  ['identities/v1/id/7', 'identities/v1/berlin/id/7'],
  ['ip/v1/default/10.0.0.1', 'ip/v1/berlin/10.0.0.1'],
  ['services/v1/berlin/shop/cart', 'services/v1/berlin/shop/cart'],
  ['endpointslices/v1/berlin/shop/cart-x', 'endpointslices/v1/berlin/shop/cart-x'],
  ['serviceexports/v1/berlin/shop/cart', 'serviceexports/v1/berlin/shop/cart'],
] as const;

const source = (value: string) => Object.fromEntries(SOURCE.map(([key]) => [`cilium/state/${key}`, `${value} of ${key}`]));
const mirrored = (value: string) => Object.fromEntries(SOURCE.map(([key, own]) => [`cilium/cache/${own}`, `${value} of ${key}`]));
const without = (keys: Record<string, string>, part: string) =>
  Object.fromEntries(Object.entries(keys).filter(([key]) => !key.includes(part)));

describe.concurrent('a remote', { timeout: 90_000 }, () => {
  test.for(CELLS)('on etcd $version, $security, is mirrored, cut off, reconfigured and removed', async (cell, { skip }) => {
    const reason = cellMissing(cell);
    skip(reason !== undefined, reason);
    await using mesh = await Cell.start(cell);
    const { daemon, proxy } = mesh;
    await mesh.put(source('first'));
    await mesh.configure();
    await mesh.put(Object.fromEntries(SCOPES.map((scope) => [`cilium/synced/berlin/cilium/state/${scope}/v1`, 'x'])));
    await mesh.holds(mirrored('first'));
    await until('the canaries are written', async () => Object.keys(await mesh.read('cilium/synced/berlin/')).length === 6);
    await daemon.process.ready();

    await mesh.put({ 'cilium/state/nodes/v1/berlin/n': 'changed', 'cilium/state/nodes/v1/berlin/m': 'new' });
    await mesh.delete('cilium/state/services/v1/berlin/shop/cart');
    const nodes = { 'cilium/cache/nodes/v1/berlin/n': 'changed', 'cilium/cache/nodes/v1/berlin/m': 'new' };
    await mesh.holds({ ...without(mirrored('first'), '/services/'), ...nodes });

    await proxy.disconnect();
    await mesh.put(source('second'));
    await mesh.delete('cilium/state/nodes/v1/berlin/m');
    await proxy.heal();
    await mesh.holds(mirrored('second'));

    await mesh.configure({ ...FULL, endpointSlicesExportMode: undefined });
    await mesh.holds(without(mirrored('second'), '/endpointslices/'));
    expect((await mesh.read('cilium/cluster-config/'))['cilium/cluster-config/berlin']).not.toContain('endpointSlices');
    await mesh.configure();
    await mesh.holds(mirrored('second'));

    daemon.remove('berlin');
    await mesh.holds({});
    await until('the canaries are gone', async () => Object.keys(await mesh.read('cilium/synced/berlin/')).length === 0);
    expect(await mesh.read('cilium/cluster-config/berlin')).toEqual({});
    expect(daemon.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
