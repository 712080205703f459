/**
 * Builds the image of docker/Dockerfile with the programs of this machine, and saves it as an OCI archive. The path of the
 * archive is the only line on the standard output.
 *
 * No registry is asked: both bases of the Dockerfile are an image without a file, into which the directories of this machine
 * are mounted while it builds. So its libraries, Node and certificates are in the image. An archive is kept for each content,
 * below .cache/image. The exit status is 2 where this machine lacks something, 1 where the build fails.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ROOT } from '../steps.ts';
import { podmanEnvironment, removePodmanDirectory } from './podman-environment.ts';

const USAGE = 'usage: scripts/image [--etcd 3.5|3.6|3.7] [--output FILE]\n';
const NAME = 'localhost/clustermesh-apiserver:local';
const TOOLBOX = 'localhost/clustermesh-apiserver-toolbox:local';
const BUILD_TIMEOUT_MS = 900_000;
const POLL_MS = 200;
/** The newest archives are kept: those of other contents come back with another branch. */
const KEPT_ARCHIVES = 3;

const DOCKERFILE = 'docker/Dockerfile';

/** The machine lacks something: no fault of the image. */
class MissingError extends Error {}

const EXIT_FAILED = 1;
const EXIT_MISSING = 2;

interface Tools {
  readonly node: string;
  readonly goRoot: string;
  readonly goCache: string;
  readonly goModules: string;
}

function output(program: string, ...args: readonly string[]): string {
  try {
    return execFileSync(program, args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  } catch (thrown) {
    const { code, stderr } = thrown as { code?: string; stderr?: string };
    if (code === 'ENOENT') throw new MissingError(`${program} is not installed`);
    throw new Error(`${program} ${args[0]}: ${stderr ?? ''}`);
  }
}

/** Whatever the build needs of this machine. Throws where something is missing. */
function findTools(): Tools {
  for (const program of ['cc', 'strip', 'ldd', 'dpkg-query']) output(program, '--version');
  if (process.getuid?.() !== 0) throw new MissingError('only root can mount; without root: docker build -f docker/Dockerfile .');
  const [goRoot = '', goCache = '', goModules = ''] = output('go', 'env', 'GOROOT', 'GOCACHE', 'GOMODCACHE').split('\n');
  return { node: dirname(dirname(realpathSync(process.execPath))), goRoot, goCache, goModules };
}

/** The files that the Dockerfile copies, itself and this one. */
function inputs(etcd: string): string[] {
  const lines = readFileSync(join(ROOT, DOCKERFILE), 'utf8')
    .replaceAll('\\\n', ' ')
    .matchAll(/^COPY (?!--from)(.+) \S+$/gm);
  const names = [...lines].flatMap(([, sources = '']) => sources.replace(/\$\{ETCD\}/g, etcd).split(' '));
  const found = names.flatMap((name) => globSync([name, `${name}/**`], { cwd: ROOT }));
  return [...new Set([...found, DOCKERFILE, '.dockerignore', 'scripts/container/image.ts'])].toSorted();
}

/** Another one for whatever makes another image. */
function contentKey(etcd: string): string {
  const hash = createHash('sha256').update(`${etcd} ${output('go', 'version')} ${output('cc', '--version')} ${process.version}`);
  for (const path of inputs(etcd)) {
    const file = join(ROOT, path);
    if (lstatSync(file).isFile()) hash.update(`\0${path}\0`).update(readFileSync(file));
  }
  return hash.digest('hex').slice(0, 16);
}

class Builder {
  readonly #directory = mkdtempSync(join(tmpdir(), 'image-build-'));
  readonly #environment = podmanEnvironment(this.#directory);

  /** An image with nothing but the mount points and links that the root of this machine has. */
  importToolbox({ node, goRoot }: Tools): void {
    const root = join(this.#directory, 'toolbox');
    for (const name of ['dev', 'etc', 'proc', 'root', 'sys', 'tmp', 'usr', 'var'])
      mkdirSync(join(root, name), { recursive: true });
    for (const name of ['bin', 'lib', 'lib32', 'lib64', 'libx32', 'sbin'])
      if (existsSync(`/${name}`) && lstatSync(`/${name}`).isSymbolicLink())
        symlinkSync(readlinkSync(`/${name}`), join(root, name));
    const archive = join(this.#directory, 'toolbox.tar');
    output('tar', '-cf', archive, '-C', root, '.');
    const path = [join(node, 'bin'), join(goRoot, 'bin'), '/usr/local/bin', '/usr/bin', '/bin'].join(':');
    const variables = { PATH: path, GOCACHE: '/go-build', GOMODCACHE: '/go-modules', ...goVariables() };
    const changes = Object.entries(variables).map(([name, value]) => `--change=ENV ${name}=${value}`);
    this.#podman('import', '--quiet', ...changes, archive, TOOLBOX);
  }

  /** Throws where no container can be run: the steps of the build are run in some. */
  tryToRun({ goRoot }: Tools): void {
    const dockerfile = join(this.#directory, 'Dockerfile');
    writeFileSync(dockerfile, `FROM ${TOOLBOX}\nRUN true\n`);
    const volumes = ['/usr', goRoot].map((path) => `--volume=${path}:${path}:ro`);
    try {
      this.#podman('build', '--quiet', '--isolation=oci', '--network=host', `--file=${dockerfile}`, ...volumes, this.#directory);
    } catch (thrown) {
      throw new MissingError(`podman cannot run a container: ${(thrown as Error).message}`);
    }
  }

  build({ node, goRoot, goCache, goModules }: Tools, etcd: string): void {
    const lent = ['/usr', '/etc/alternatives', '/etc/ssl', '/var/lib/dpkg', node, goRoot].filter((path) => existsSync(path));
    // Go makes them at its first build, which may be this one.
    for (const directory of [goCache, goModules]) mkdirSync(directory, { recursive: true });
    const volumes = [
      ...new Set(lent.map((path) => `${path}:${path}:ro`)),
      `${join(ROOT, 'node_modules')}:/build/node_modules:ro`,
      `${goCache}:/go-build`,
      `${goModules}:/go-modules`,
    ];
    const revision = output('git', 'rev-parse', '--short=12', 'HEAD');
    const time = output('git', 'log', '-1', '--format=%ct');
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
    const variables = {
      NODE_IMAGE: TOOLBOX,
      GO_IMAGE: TOOLBOX,
      BUILDPLATFORM: `linux/${architecture}`,
      TARGETARCH: architecture,
      ETCD: etcd,
      REVISION: revision,
      VERSION: version,
      SOURCE_DATE_EPOCH: time,
    };
    this.#podman(
      'build',
      '--quiet',
      '--isolation=oci',
      '--layers=false',
      '--network=host',
      '--format=oci',
      `--timestamp=${time}`,
      `--file=${join(ROOT, DOCKERFILE)}`,
      `--tag=${NAME}`,
      ...volumes.map((volume) => `--volume=${volume}`),
      ...Object.entries(variables).map(([name, value]) => `--build-arg=${name}=${value}`),
      ROOT,
    );
  }

  save(archive: string): void {
    const part = `${archive}.${process.pid}`;
    this.#podman('save', '--quiet', '--format=oci-archive', `--output=${part}`, NAME);
    renameSync(part, archive);
  }

  remove(): void {
    removePodmanDirectory(this.#directory);
  }

  #podman(...args: readonly string[]): void {
    const { status, error, stdout, stderr } = spawnSync('podman', args, {
      cwd: ROOT,
      env: { ...process.env, ...this.#environment },
      encoding: 'utf8',
      timeout: BUILD_TIMEOUT_MS,
    });
    if (error !== undefined && 'code' in error && error.code === 'ENOENT') throw new MissingError('podman is not installed');
    if (status !== 0) throw new Error(`podman ${args[0]}: ${error?.message ?? `${stdout}${stderr}`.trim()}`);
  }
}

/** Where this machine gets modules from. Proxies are passed on by podman itself. */
function goVariables(): Record<string, string> {
  const set = ['GOPROXY', 'GONOSUMDB', 'GOPRIVATE'].map((name) => [name, process.env[name] ?? ''] as const);
  return Object.fromEntries(set.filter(([, value]) => value !== ''));
}

function buildArchive(archive: string, etcd: string): void {
  const tools = findTools();
  const builder = new Builder();
  try {
    builder.importToolbox(tools);
    builder.tryToRun(tools);
    builder.build(tools, etcd);
    builder.save(archive);
  } finally {
    builder.remove();
  }
}

/** False where a process that still runs has it. */
function takeLock(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    if (isOwned(path)) return false;
    rmSync(path, { force: true });
    return takeLock(path);
  }
}

function isOwned(lock: string): boolean {
  try {
    process.kill(Number(readFileSync(lock, 'utf8')), 0);
    return true;
  } catch {
    return false;
  }
}

/** The archive of the image; built where there is none of the same content. */
async function buildImage(etcd: string): Promise<string> {
  const directory = join(ROOT, '.cache/image');
  const archive = join(directory, `${contentKey(etcd)}.tar`);
  if (existsSync(archive)) return archive;
  mkdirSync(directory, { recursive: true });
  // Test files ask side by side: one of them builds.
  const lock = `${archive}.lock`;
  const deadline = Date.now() + BUILD_TIMEOUT_MS;
  while (!takeLock(lock)) {
    if (Date.now() > deadline) throw new Error(`another build does not end; if there is none, remove ${lock}`);
    await pause(POLL_MS);
    if (existsSync(archive)) return archive;
  }
  try {
    if (!existsSync(archive)) buildArchive(archive, etcd);
  } finally {
    rmSync(lock);
  }
  const others = globSync('*.tar', { cwd: directory }).map((name) => join(directory, name));
  const oldest = others.toSorted((a, b) => lstatSync(b).mtimeMs - lstatSync(a).mtimeMs).slice(KEPT_ARCHIVES);
  for (const path of oldest) rmSync(path);
  return archive;
}

try {
  const { values } = parseArgs({ options: { etcd: { type: 'string', default: '3.7' }, output: { type: 'string' } } });
  if (!existsSync(join(ROOT, 'docker/etcd', values.etcd, 'go.mod')))
    throw new TypeError(`--etcd: there is no etcd ${values.etcd}`);
  const archive = await buildImage(values.etcd);
  if (values.output !== undefined) output('cp', archive, values.output);
  process.stdout.write(`${values.output ?? archive}\n`);
} catch (thrown) {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  process.stderr.write(`scripts/image: ${error.message}\n${error instanceof TypeError ? USAGE : ''}`);
  process.exitCode = error instanceof MissingError ? EXIT_MISSING : EXIT_FAILED;
}
