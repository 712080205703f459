/**
 * The programs of a Kubernetes node: those of Kubernetes from `.cache/tools/kubernetes`, containerd and what it calls from the
 * packages in `.cache/tools/node`, else from the PATH. `scripts/build-test-tools.sh` puts them there.
 */
import { accessSync, constants, existsSync, globSync, mkdirSync, statSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { etcdVersions } from '../etcd/etcd-process.ts';
import { helmMissing } from '../kubernetes/helm-binary.ts';
import { kubectlMissing } from '../kubernetes/kubectl.ts';

const TOOLS = join(import.meta.dirname, '../../../.cache/tools');
const PACKAGES = join(TOOLS, 'node');
const SYSTEM = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const NEEDED = ['containerd', 'containerd-shim-runc-v2', 'ctr', 'runc', 'catatonit', 'ip', 'nsenter', 'mount', 'umount'];
const KUBERNETES = ['kube-apiserver', 'kube-controller-manager', 'kube-proxy', 'kube-scheduler', 'kubelet'];
const IPTABLES = ['iptables', 'iptables-save', 'iptables-restore', 'ip6tables', 'ip6tables-save', 'ip6tables-restore'];
/** The cgroup controllers that containers of these tests need; each may be a hierarchy of its own. */
export const CGROUPS = '/sys/fs/cgroup';

/** Why this machine cannot run a Kubernetes cluster; undefined where it can. */
export function clusterMissing(): string | undefined {
  const reason = missing();
  return reason === undefined ? undefined : `no Kubernetes cluster can be started: ${reason}`;
}

function missing(): string | undefined {
  if (process.platform !== 'linux') return 'it needs Linux';
  if (process.getuid?.() !== 0) return 'it needs root';
  for (const name of KUBERNETES)
    if (!isExecutable(join(TOOLS, name))) return `${name} was not built: run scripts/build-test-tools.sh`;
  for (const name of NEEDED) if (find(name) === undefined) return `there is no ${name}`;
  if (xtables() === undefined) return 'there is no iptables';
  if (cniPlugins() === undefined) return 'there are no CNI plugins';
  if (!isWritable(CGROUPS)) return `${CGROUPS} cannot be written to`;
  if (etcdVersions().length === 0) return 'there is no etcd';
  return kubectlMissing() ?? helmMissing();
}

/** The path of a program of a node. Throws where it is missing. */
export function nodeProgram(name: string): string {
  const own = join(TOOLS, name);
  const path = KUBERNETES.includes(name) ? own : find(name);
  if (path === undefined) throw new Error(`there is no ${name}`);
  return path;
}

/** The directory of the CNI plugins. */
export function cniPlugins(): string | undefined {
  return [join(PACKAGES, 'usr/lib/cni'), '/usr/lib/cni', '/opt/cni/bin'].find((path) => existsSync(join(path, 'bridge')));
}

/** The environment of all programs of a node. `directory` gets the names under which iptables is called. */
export function nodeEnvironment(directory: string): Record<string, string> {
  mkdirSync(directory, { recursive: true });
  for (const name of IPTABLES) {
    const path = join(directory, name);
    if (!existsSync(path)) symlinkSync(xtables() ?? '', path);
  }
  const packaged = (pattern: string) => globSync(pattern, { cwd: PACKAGES }).map((path) => join(PACKAGES, path));
  return {
    PATH: [directory, join(PACKAGES, 'usr/bin'), join(PACKAGES, 'usr/sbin'), ...SYSTEM].join(delimiter),
    LD_LIBRARY_PATH: packaged('{usr/,}lib/*-linux-gnu').join(delimiter),
    ...(existsSync(join(PACKAGES, 'usr/sbin/xtables-nft-multi'))
      ? { XTABLES_LIBDIR: packaged('usr/lib/*-linux-gnu/xtables').join(delimiter) }
      : {}),
    HOME: directory,
  };
}

function xtables(): string | undefined {
  return find('xtables-nft-multi');
}

function find(name: string): string | undefined {
  return [join(PACKAGES, 'usr/bin'), join(PACKAGES, 'usr/sbin'), ...SYSTEM]
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
