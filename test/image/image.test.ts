/** What is in the image, and that it is all that is needed. */
import { existsSync, globSync, lstatSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { IMAGE } from '../support/containers/image-engine.ts';
import { engine, imageTest, RESTRICTED, root } from './image-test.ts';

interface Sbom {
  readonly spdxVersion: string;
  readonly packages: readonly {
    readonly SPDXID: string;
    readonly name: string;
    readonly versionInfo: string;
    readonly packageFileName?: string;
  }[];
  readonly relationships: readonly { readonly spdxElementId: string; readonly relatedSpdxElement: string }[];
}

const MOST_BYTES = 130_000_000;

const files = () => globSync('**', { cwd: root, withFileTypes: true }).filter((entry) => entry.isFile());
const sbom = () => JSON.parse(readFileSync(join(root, 'usr/share/sbom/clustermesh-apiserver.spdx.json'), 'utf8')) as Sbom;

imageTest('every program of the image runs with a read-only root and without capabilities', async () => {
  const version = await engine.runImage(RESTRICTED, ['version']);
  expect(version).toMatchObject({ status: 0, stdout: expect.stringMatching(/^clustermesh-apiserver \d/) });
  const etcd = await engine.runImage([...RESTRICTED, '--entrypoint=/usr/bin/etcd'], ['--version']);
  expect(etcd).toMatchObject({ status: 0, stdout: expect.stringMatching(/^etcd Version: 3\.7\./) });
  const etcdctl = await engine.runImage([...RESTRICTED, '--entrypoint=etcdctl'], ['version']);
  expect(etcdctl).toMatchObject({ status: 0, stdout: expect.stringMatching(/^etcdctl version: 3\.7\./) });
});

imageTest('it runs as the user 65532, whom its files know', async () => {
  expect(await engine.podman('image', 'inspect', '--format={{.Config.User}}', IMAGE)).toBe('65532:65532');
  expect(readFileSync(join(root, 'etc/passwd'), 'utf8')).toContain(':65532:65532:');
  expect(readFileSync(join(root, 'etc/group'), 'utf8')).toContain(':65532:');
});

imageTest('it has no shell, and no program besides its own', async () => {
  const programs = files().filter(({ parentPath, name }) => statSync(join(parentPath, name)).mode & 0o111);
  const paths = programs.map(({ parentPath, name }) => join(parentPath, name).slice(root.length));
  expect(paths.filter((path) => !/\.so(?:\.\d+)*$/.test(path)).toSorted()).toEqual([
    '/usr/bin/clustermesh-apiserver',
    '/usr/bin/etcd',
    '/usr/lib/clustermesh-apiserver/node',
  ]);
  const shell = await engine.run('run', ...RESTRICTED, '--entrypoint=sh', IMAGE, '-c', 'true');
  expect(shell).toMatchObject({ status: 127, stderr: expect.stringContaining('not found') });
});

imageTest('it is smaller than 130 MB unpacked, and the launcher than 1 MB', () => {
  const bytes = files().reduce((sum, { parentPath, name }) => sum + lstatSync(join(parentPath, name)).size, 0);
  expect(bytes).toBeLessThan(MOST_BYTES);
  expect(statSync(join(root, 'usr/bin/clustermesh-apiserver')).size).toBeLessThan(1_000_000);
});

imageTest('what the charts of Cilium expect is where they expect it', () => {
  expect(readFileSync(join(root, 'var/lib/cilium/etcd-config.yaml'), 'utf8')).toContain('https://127.0.0.1:2379');
  expect(readFileSync(join(root, 'etc/ssl/certs/ca-certificates.crt'), 'utf8')).toContain('BEGIN CERTIFICATE');
  expect(statSync(join(root, 'tmp')).mode & 0o7777).toBe(0o1777);
  for (const mount of [
    'var/lib/cilium/etcd-secrets',
    'var/lib/cilium/etcd-config',
    'var/lib/cilium/clustermesh',
    'var/lib/etcd-secrets',
    'run/etcd',
  ])
    expect([mount, statSync(join(root, mount)).isDirectory()]).toEqual([mount, true]);
});

imageTest('the SBOM names everything that runs, and every file of it', () => {
  const { spdxVersion, packages, relationships } = sbom();
  const versions = new Map(packages.map(({ name, versionInfo }) => [name, versionInfo]));
  expect(spdxVersion).toBe('SPDX-2.3');
  expect(versions.get('node')).toMatch(/^24\./);
  expect(versions.get('etcd')).toMatch(/^3\.7\./);
  for (const name of [
    'openssl',
    'v8',
    'icu',
    'libc6',
    'libstdc++6',
    'ca-certificates',
    'fastify',
    'yaml',
    'go.etcd.io/bbolt',
    'std',
    'google.golang.org/grpc',
  ])
    expect([name, versions.get(name)]).toEqual([name, expect.stringMatching(/\d/)]);
  const named = new Set(packages.flatMap(({ packageFileName }) => packageFileName ?? []));
  for (const path of named) expect([path, existsSync(join(root, path))]).toEqual([path, true]);
  expect(named.size).toBe(4);
  // Each is part of something, up to the image.
  const parts = new Set(relationships.map(({ relatedSpdxElement }) => relatedSpdxElement));
  expect(packages.filter(({ SPDXID }) => !parts.has(SPDXID))).toEqual([]);
  expect(new Set(packages.map(({ SPDXID }) => SPDXID)).size).toBe(packages.length);
});

imageTest('there is a licence for each component', () => {
  const licensed = (path: string) =>
    globSync(`usr/share/licenses/${path}/**`, { cwd: root, withFileTypes: true }).some((entry) => entry.isFile());
  const { packages, relationships } = sbom();
  const node = packages.find(({ name }) => name === 'node')?.SPDXID;
  // Node tells the licences of its parts in its own.
  const inNode = new Set(
    relationships.filter(({ spdxElementId }) => spdxElementId === node).map(({ relatedSpdxElement }) => relatedSpdxElement),
  );
  const own = packages.filter(({ SPDXID, name }) => !inNode.has(SPDXID) && !name.startsWith('clustermesh-apiserver'));
  const unlicensed = own.filter(
    ({ name, versionInfo }) =>
      ![
        `npm/${name}@${versionInfo}`,
        `go/${name}@${versionInfo}`,
        `debian/${name}`,
        `node/v${versionInfo}`,
        `go/go.etcd.io/${name}/server/v3@v${versionInfo}`,
      ].some(licensed),
  );
  expect(unlicensed).toEqual([]);
  expect(licensed('clustermesh-apiserver')).toBe(true);
});
