import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { localEntry, remoteEntry } from '../../src/mesh/entries.ts';
import { HELM, helmMissing } from '../support/kubernetes/helm-binary.ts';

const CHART = join(import.meta.dirname, '../../charts/clustermesh-apiserver');

/** The Secrets that the chart renders, decoded. */
function rendered(cluster: object): Readonly<Record<string, string | undefined>> {
  const values = {
    cluster: { name: 'east', id: 1 },
    image: { override: 'registry.test/clustermesh-apiserver:test' },
    mesh: { clusters: { west: cluster } },
  };
  const sets = Object.entries(values).map(([key, value]) => `--set-json=${key}=${JSON.stringify(value)}`);
  const text = execFileSync(HELM, ['template', 'mesh', CHART, '--namespace=cilium', ...sets], { encoding: 'utf8' });
  const objects = parseAllDocuments(text).map((document) => document.toJS());
  return Object.fromEntries(
    objects
      .filter((object) => object?.kind === 'Secret' && object.data?.west !== undefined)
      .map(({ metadata, data }) => [metadata.name, Buffer.from(data.west, 'base64').toString()]),
  );
}

const missing = helmMissing();

test.skipIf(missing !== undefined)(
  `entries are byte for byte those of the chart${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    const ips = ['192.0.2.21', '2001:db8::1', '2001:db8::', '::ffff:192.0.2.1'];
    const addressed = rendered({ ips, port: 32_380 });
    expect(remoteEntry('west', { names: [], ips, port: 32_380, reason: '' })).toBe(addressed['cilium-kvstoremesh']);
    expect(localEntry('cilium')).toBe(addressed['cilium-clustermesh']);
    const named = rendered({ address: 'west.example.org' });
    const destination = { names: ['west.example.org'], ips: [], port: 2379, reason: '' };
    expect(remoteEntry('west', destination)).toBe(named['cilium-kvstoremesh']);
  },
);
