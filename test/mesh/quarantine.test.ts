/** `quarantine` on a real kube-apiserver, and the port of `ui`. */
import { describe, expect, test } from 'vitest';
import { parseQuarantine } from '../../src/kvstoremesh/configuration/quarantine.ts';
import { quarantineFlagTable } from '../../src/mesh/flags.ts';
import { quarantine, quarantineText } from '../../src/mesh/verbs/quarantine.ts';
import { apiPort } from '../../src/mesh/verbs/ui.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { providerMissing } from '../support/kubernetes/kubernetes-provider.ts';
import { HELM, type Mesh, meshFixture } from './mesh-fixture.ts';

const SECRET = 'cilium-kvstoremesh';
const KEY = 'west.quarantine';
const ENTRY = 'endpoints: [https://west:2379]';

const missing = providerMissing('real');

describe.skipIf(missing !== undefined)(`quarantine${missing === undefined ? '' : ` (${missing})`}`, { timeout: 60_000 }, () => {
  const meshes = meshFixture();

  function run(mesh: Mesh, remote: string, ...argv: readonly string[]) {
    const parsed = parseFlags(quarantineFlagTable, mesh.argv(...argv), {});
    if (parsed === 'help') throw new Error('it was not asked for help');
    return quarantine(remote, parsed.values, { clock: systemClock, signal: AbortSignal.timeout(60_000) });
  }

  test('writes a key beside the entry, which kvstoremesh understands, and removes it', async () => {
    const mesh = await meshes.installed();
    await mesh.connect();
    const report = await run(mesh, 'west', '--reason=odd endpoints');
    expect(report).toMatchObject({ outcome: 'written', quarantine: 'freeze' });
    const entries = await mesh.entries('east', SECRET);
    expect(parseQuarantine(entries?.[KEY] ?? '')).toEqual({
      mode: 'freeze',
      reason: 'odd endpoints',
      since: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    });
    expect((await run(mesh, 'west', '--reason=odd endpoints')).outcome).toBe('unchanged');
    expect((await run(mesh, 'west', '--withdraw')).outcome).toBe('written');
    await mesh.connect();
    expect(parseQuarantine((await mesh.entries('east', SECRET))?.[KEY] ?? '').mode).toBe('withdraw');
    expect((await run(mesh, 'west', '--release')).outcome).toBe('written');
    expect((await run(mesh, 'west', '--release')).outcome).toBe('unchanged');
    expect(Object.keys((await mesh.entries('east', SECRET)) ?? {})).toEqual(['west']);
  });

  test('ends with the connection', async () => {
    const mesh = await meshes.installed();
    await mesh.connect();
    await run(mesh, 'west');
    await mesh.disconnect('--destination-context=west');
    expect(await mesh.entries('east', SECRET)).toEqual({});
  });

  test('keeps the labels of a Secret that Helm manages, and says who manages it', async () => {
    const mesh = await meshes.installed();
    await mesh.create('east', 'secrets', { metadata: { name: SECRET, ...HELM }, stringData: { west: ENTRY } });
    const report = await run(mesh, 'west');
    expect(quarantineText(report)).toMatch(/changed: the mirror of west is frozen\n(?:.*\n)*warning: Helm manages the Secret/);
    expect((await mesh.secret('east', SECRET))?.metadata.labels).toEqual(HELM.labels);
    expect((await mesh.entries('east', SECRET))?.west).toBe(ENTRY);
  });

  test('of an unknown cluster, and flags that exclude each other, are refused', async () => {
    const mesh = await meshes.installed();
    await expect(run(mesh, 'west')).rejects.toThrow('has no cluster west; it has: none');
    await mesh.connect();
    await expect(run(mesh, 'wset')).rejects.toThrow('has no cluster wset; it has: west');
    await expect(run(mesh, 'west', '--freeze', '--release')).rejects.toThrow('exclude each other');
    await expect(run(mesh, 'west', '--reason=endpoints:')).rejects.toThrow('marks the file of a cluster');
    expect(Object.keys((await mesh.entries('east', SECRET)) ?? {})).toEqual(['west']);
  });
});

test('the port of the API is that of the flag, the default without one, and none if the flag is empty', () => {
  expect(apiPort({ args: ['--debug'] })).toBe(9889);
  expect(apiPort({ command: ['clustermesh-apiserver', 'kvstoremesh'], args: ['--api-serve-addr=:9000'] })).toBe(9000);
  expect(apiPort({ args: ['--api-serve-addr', 'localhost:9001'] })).toBe(9001);
  expect(apiPort({ args: ['--api-serve-addr='] })).toBeUndefined();
});
