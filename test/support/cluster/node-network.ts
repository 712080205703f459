/**
 * The network of the nodes: a network namespace for each, on one bridge of this machine.
 *
 * Number N (1 to 9) has the node address 198.51.100.(10+N), Pods in 198.18.N.0/24 and Services in 198.19.N.0/24: ranges for
 * documentation and benchmarks. This machine and all nodes have unreachable routes for the rest, so no packet leaves it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { nodeProgram } from './node-programs.ts';

/** Of this machine, as Pods of all clusters reach it. */
export const HOST_ADDRESS = '198.51.100.1';
const BRIDGE = 'k8s-test0';
const MAX_NODES = 9;
/** What kubelets set for the whole machine. */
const KERNEL_SETTINGS = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'net/ipv4/ip_forward',
];

export interface NodeAddresses {
  readonly node: string;
  readonly pods: string;
  readonly podGateway: string;
  readonly services: string;
}

export function addressesOf(number: number): NodeAddresses {
  return {
    node: `198.51.100.${10 + number}`,
    pods: `198.18.${number}.0/24`,
    podGateway: `198.18.${number}.1`,
    services: `198.19.${number}.0/24`,
  };
}

export function namespaceOf(number: number): string {
  return `k8s-test-${number}`;
}

/** Makes the bridge. Returns what restores the settings of this machine and removes the bridge. */
export function makeBridge(): () => void {
  const before = KERNEL_SETTINGS.map((name) => [name, readFileSync(`/proc/sys/${name}`, 'utf8')] as const);
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  removeBridge();
  ip('link', 'add', BRIDGE, 'type', 'bridge');
  ip('addr', 'add', `${HOST_ADDRESS}/24`, 'dev', BRIDGE);
  ip('link', 'set', BRIDGE, 'up');
  for (const range of ['198.18.0.0/15', '198.51.100.0/24']) ip('route', 'replace', 'unreachable', range, 'metric', '4000');
  return () => {
    removeBridge();
    for (const range of ['198.18.0.0/15', '198.51.100.0/24']) tryIp('route', 'del', 'unreachable', range, 'metric', '4000');
    for (const [name, value] of before) writeFileSync(`/proc/sys/${name}`, value);
  };
}

function removeBridge(): void {
  if (existsSync(`/sys/class/net/${BRIDGE}`)) ip('link', 'del', BRIDGE);
}

export function addNode(number: number): void {
  const namespace = namespaceOf(number);
  const { node, pods } = addressesOf(number);
  const inside = (...args: string[]) => ip('-n', namespace, ...args);
  ip('netns', 'add', namespace);
  ip('link', 'add', `veth-${number}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
  ip('link', 'set', `veth-${number}`, 'master', BRIDGE, 'up');
  inside('link', 'set', 'lo', 'up');
  inside('addr', 'add', `${node}/24`, 'dev', 'eth0');
  inside('link', 'set', 'eth0', 'up');
  ip('netns', 'exec', namespace, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
  ip('route', 'replace', pods, 'via', node);
  for (let other = 1; other <= MAX_NODES; other += 1) {
    if (other !== number) inside('route', 'replace', addressesOf(other).pods, 'via', addressesOf(other).node);
  }
  inside('route', 'replace', 'unreachable', 'default', 'metric', '4000');
}

/** Idempotent. */
export function removeNode(number: number): void {
  const { node, pods } = addressesOf(number);
  tryIp('route', 'del', pods, 'via', node);
  tryIp('link', 'del', `veth-${number}`);
  tryIp('netns', 'del', namespaceOf(number));
}

/** Processes in the network namespace of the node: its programs, and what watches its containers. */
export function processesOf(number: number): readonly number[] {
  if (!existsSync(`/run/netns/${namespaceOf(number)}`)) return [];
  return (tryIp('netns', 'pids', namespaceOf(number)) ?? '').split('\n').filter(Boolean).map(Number);
}

function ip(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(nodeProgram('ip'), args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

function tryIp(...args: string[]): string | undefined {
  try {
    return ip(...args);
  } catch {
    return undefined;
  }
}
