/** podman of the packages that scripts/build-test-tools.sh has unpacked, with all that it keeps in a directory of its own. */
import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PACKAGES = join(import.meta.dirname, '../../.cache/tools/podman');

/** Has podman and what it calls take nothing but the packages and `directory`, which exists. Returns the environment for that. */
export function podmanEnvironment(directory: string): Record<string, string> {
  for (const name of ['bin', 'home/.config/containers', 'networks', 'tmp']) mkdirSync(join(directory, name), { recursive: true });
  const at = (name: string) => globSync(name, { cwd: PACKAGES }).map((path) => join(PACKAGES, path));
  for (const [name, binary] of [
    ['iptables', 'usr/sbin/xtables-nft-multi'],
    ['ip6tables', 'usr/sbin/xtables-nft-multi'],
  ] as const)
    for (const path of at(binary)) symlinkSync(path, join(directory, 'bin', name));
  const text = (value: unknown) => JSON.stringify(value);
  // What the system has is not among the packages: then podman looks where it always does.
  const setting = (name: string, pattern: string) => (at(pattern).length === 0 ? [] : [`${name}=${text(at(pattern))}`]);
  writeFileSync(
    join(directory, 'containers.conf'),
    [
      '[containers]',
      `default_ulimits=${text(['nofile=20000:20000', 'nproc=10000:10000'])}`,
      'log_driver="k8s-file"',
      '[network]',
      'network_backend="netavark"',
      `network_config_dir=${text(join(directory, 'networks'))}`,
      '[engine]',
      'runtime="runc"',
      'cgroup_manager="cgroupfs"',
      'events_logger="file"',
      `tmp_dir=${text(join(directory, 'tmp'))}`,
      `static_dir=${text(join(directory, 'root/libpod'))}`,
      `volume_path=${text(join(directory, 'root/volumes'))}`,
      ...setting('conmon_path', 'usr/{bin,libexec/podman}/conmon'),
      ...setting('helper_binaries_dir', 'usr/{lib,libexec}/podman'),
      '[engine.runtimes]',
      ...setting('runc', 'usr/{bin,sbin}/runc'),
      '',
    ].join('\n'),
  );
  const [root, runRoot] = [join(directory, 'root'), join(directory, 'run')].map(text);
  writeFileSync(join(directory, 'storage.conf'), `[storage]\ndriver="overlay"\ngraphroot=${root}\nrunroot=${runRoot}\n`);
  writeFileSync(join(directory, 'home/.config/containers/policy.json'), text({ default: [{ type: 'insecureAcceptAnything' }] }));
  const programs = [join(directory, 'bin'), ...['usr/bin', 'usr/sbin'].map((name) => join(PACKAGES, name))];
  return {
    HOME: join(directory, 'home'),
    PATH: [...programs, process.env.PATH ?? ''].join(':'),
    LD_LIBRARY_PATH: at('{usr/,}lib/*-linux-gnu').join(':'),
    XTABLES_LIBDIR: at('usr/lib/*-linux-gnu/xtables').join(':'),
    CONTAINERS_CONF: join(directory, 'containers.conf'),
    CONTAINERS_STORAGE_CONF: join(directory, 'storage.conf'),
    TMPDIR: join(directory, 'tmp'),
  };
}

/** Removes the directory of a podman that runs no container any more. What is still mounted there is detached. */
export function removePodmanDirectory(directory: string): void {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  for (const mount of mounts.toReversed()) if (mount.startsWith(`${directory}/`)) spawnSync('umount', ['-l', mount]);
  // What watched a container writes its last words there.
  rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
