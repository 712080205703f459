/**
 * Tells what is in the image: `image-contents.ts PARTS IMAGE`, a step of docker/Dockerfile.
 *
 * PARTS has the outcomes of the stages `etcd` and `bundle`, IMAGE what docker/root.sh has laid out. Below IMAGE/contents come
 * the licences, `usr/share/licenses`, and the SBOM, `usr/share/sbom/clustermesh-apiserver.spdx.json`. It fails where
 * something in the image has no licence.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Component, licenseOfText, spdxDocument } from './spdx.ts';

const HOME = 'usr/lib/clustermesh-apiserver';

/** What Debian's files about copyright say in many words. */
const DEBIAN_LICENSES: Readonly<Record<string, string>> = {
  'ca-certificates': 'MPL-2.0 AND GPL-2.0-or-later',
  libc6: 'LGPL-2.1-or-later',
  'libc6-dev': 'LGPL-2.1-or-later',
  'libgcc-s1': 'GPL-3.0-or-later WITH GCC-exception-3.1',
  'libstdc++6': 'GPL-3.0-or-later WITH GCC-exception-3.1',
};

/** Versions of interfaces and of data, not of code. */
const NO_COMPONENTS = new Set(['node', 'modules', 'napi', 'unicode', 'cldr', 'tz']);

const [, , parts, image] = process.argv;
if (parts === undefined || image === undefined) throw new Error('usage: image-contents.ts PARTS IMAGE');
const licenses = join(image, 'contents/usr/share/licenses');
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const architecture = process.arch === 'x64' ? 'amd64' : process.arch;

function keep(kind: string, name: string, source: string): void {
  const target = join(licenses, kind, name, basename(source));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, readFileSync(source));
}

/** The components whose licences are in directories NAME@VERSION below `directory`. */
function licensed(directory: string, kind: string, purl: (name: string, version: string) => string): Component[] {
  const homes = new Set(
    globSync('**/*', { cwd: directory, withFileTypes: true }).flatMap((file) => (file.isFile() ? [file.parentPath] : [])),
  );
  return [...homes].toSorted().map((home) => {
    const [, name = '', version = ''] = /^(.+)@([^@]+)$/.exec(home.slice(directory.length + 1)) ?? [];
    const files = readdirSync(home).map((file) => join(home, file));
    for (const file of files) keep(kind, `${name}@${version}`, file);
    const license = files.map((file) => licenseOfText(readFileSync(file, 'utf8'))).find((found) => found !== undefined);
    return { name, version, purl: purl(name, version), ...(license === undefined ? {} : { license }) };
  });
}

function dpkgQuery(...args: readonly string[]): string {
  return execFileSync('dpkg-query', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

/** The package of the distribution that `path` is from. A library may be known by its path before /lib became a link. */
function debianPackage(path: string, comment?: string): Component {
  const owner = (candidate: string) => {
    try {
      return dpkgQuery('--search', candidate).split(/[,:]/, 1)[0];
    } catch {
      return undefined;
    }
  };
  const name = [path, realpathSync(path), path.replace(/^\/usr/, '')].map(owner).find((found) => found !== undefined);
  if (name === undefined) throw new Error(`no package has ${path}`);
  const version = /^Version: (.+)$/m.exec(dpkgQuery('--status', name))?.[1] ?? '';
  keep('debian', name, `/usr/share/doc/${name}/copyright`);
  const license = DEBIAN_LICENSES[name];
  return {
    name,
    version,
    purl: `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}`,
    ...(license === undefined ? {} : { license }),
    ...(comment === undefined ? {} : { comment }),
  };
}

function once(components: readonly Component[]): Component[] {
  return [...new Map(components.map((component) => [component.purl, component])).values()];
}

function file(path: string, source: string) {
  return { path: `/${path}`, content: readFileSync(source) };
}

function node(root: string): Component {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const license = [join(prefix, 'LICENSE'), '/usr/share/doc/nodejs/copyright'].find((path) => existsSync(path));
  if (license === undefined) throw new Error(`no licence of Node in ${prefix}`);
  keep('node', process.version, license);
  const parts = Object.entries(process.versions).filter(
    ([name, version]) => !NO_COMPONENTS.has(name) && version !== '' && version !== undefined,
  );
  return {
    name: 'node',
    version: process.versions.node,
    purl: `pkg:generic/node@${process.versions.node}`,
    license: 'MIT',
    comment: 'stripped; docs/reference/image.md tells what else is left out',
    file: file(join(HOME, 'node'), join(root, HOME, 'node')),
    contains: parts.map(([name, version]) => ({
      name,
      version: version ?? '',
      purl: `pkg:generic/${name}@${encodeURIComponent(version ?? '')}`,
      comment: 'part of Node',
    })),
  };
}

function etcd(directory: string): Component {
  const modules = licensed(join(directory, 'licences'), 'go', (name, version) =>
    name === 'std' ? `pkg:golang/stdlib@${version.replace('go', '')}` : `pkg:golang/${name}@${version}`,
  );
  const version = modules.find(({ name }) => name === 'go.etcd.io/etcd/server/v3')?.version.replace(/^v/, '') ?? '';
  return {
    name: 'etcd',
    version,
    purl: `pkg:generic/etcd@${version}`,
    license: 'Apache-2.0',
    comment: 'with etcdctl',
    file: file('usr/bin/etcd', join(directory, 'etcd')),
    contains: modules,
  };
}

const libraries = readFileSync(join(image, 'libraries'), 'utf8').trim().split('\n');
const libcArchive = execFileSync('cc', ['-print-file-name=libc.a'], { encoding: 'utf8' }).trim();
const bundle = join(HOME, 'clustermesh-apiserver.js');
const launcher = 'usr/bin/clustermesh-apiserver';
keep('clustermesh-apiserver', version, 'LICENSE');
for (const name of ['GPL-2', 'GPL-3', 'LGPL-2.1']) keep('debian', 'common-licenses', join('/usr/share/common-licenses', name));

const own = (name: string, license = 'Apache-2.0') => ({ name, version, purl: `pkg:generic/${name}@${version}`, license });
const product: Component = {
  ...own('clustermesh-apiserver'),
  purl: `pkg:oci/clustermesh-apiserver@${version}?arch=${architecture}`,
  comment: `revision ${process.env.REVISION ?? 'unknown'}`,
  contains: [
    {
      ...own('clustermesh-apiserver-program'),
      // The names of its parts, with digests of their contents, are in it.
      file: file(bundle, join(parts, 'bundle/program/clustermesh-apiserver.js')),
      contains: licensed(
        join(parts, 'bundle/licences'),
        'npm',
        (name, version) => `pkg:npm/${name.replace('@', '%40')}@${version}`,
      ),
    },
    {
      ...own('clustermesh-apiserver-launcher'),
      file: file(launcher, join(image, 'program', launcher)),
      contains: [debianPackage(libcArchive, 'linked statically')],
    },
    node(join(image, 'base')),
    etcd(join(parts, 'etcd')),
    ...once([
      ...libraries.map((path) => debianPackage(path)),
      debianPackage('/usr/sbin/update-ca-certificates', 'its list of certificates'),
    ]),
  ],
};

const sbom = join(image, 'contents/usr/share/sbom/clustermesh-apiserver.spdx.json');
mkdirSync(dirname(sbom), { recursive: true });
writeFileSync(sbom, spdxDocument({ product, created: new Date(Number(process.env.SOURCE_DATE_EPOCH ?? '0') * 1000) }));
