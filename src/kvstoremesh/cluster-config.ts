/**
 * `cilium/cluster-config/<name>`: the settings that a cluster publishes, and those that we publish of it for the local agents.
 *
 * Parsed as in Go: member names in any letter case, `null` for absent, the last of
 * several wins, unknown members are dropped. Unknown capabilities are not passed on, because an agent
 * would wait for keys that are not mirrored.
 */
import { ProgramError } from '../shared/errors.ts';
import { MAX_CLUSTER_CONFIG_BYTES, MAX_EXPORT_MODE_LENGTH } from '../shared/limits.ts';
import { printable } from '../shared/printable.ts';

export interface ClusterConfig {
  /** 0 where the cluster has none. */
  readonly id: number;
  /** The cluster writes canaries for its complete prefixes. */
  readonly syncedCanaries: boolean;
  /** The cluster's etcd holds a mirror: its keys are below `cilium/cache`. */
  readonly cached: boolean;
  /** 0 if absent. */
  readonly maxConnectedClusters: number;
  /** Undefined if the cluster does not support service exports. */
  readonly serviceExportsEnabled: boolean | undefined;
  /** Empty where the cluster exports services only. */
  readonly endpointSlicesExportMode: string;
}

/** The value cannot be read. */
export class ClusterConfigError extends ProgramError {
  readonly code = 'CLUSTER_CONFIG_INVALID';
  readonly retriable = true;
}

const UINT32_MAX = 0xffff_ffff;

/** Throws ClusterConfigError, whose message has the cause but not the value. */
export function parseClusterConfig(value: Uint8Array): ClusterConfig {
  if (value.length > MAX_CLUSTER_CONFIG_BYTES) {
    throw new ClusterConfigError(`the cluster config has ${value.length} bytes; allowed: ${MAX_CLUSTER_CONFIG_BYTES}`);
  }
  const root = members(parseJson(value), 'the cluster config');
  const capabilities = members(root.get('capabilities'), 'capabilities');
  return {
    id: uint32(root, 'id'),
    syncedCanaries: bool(capabilities, 'syncedCanaries') ?? false,
    cached: bool(capabilities, 'cached') ?? false,
    maxConnectedClusters: uint32(capabilities, 'maxConnectedClusters'),
    serviceExportsEnabled: bool(capabilities, 'serviceExportsEnabled'),
    endpointSlicesExportMode: text(capabilities, 'endpointSlicesExportMode'),
  };
}

/**
 * The config as the local agents shall see it: the same, but mirrored and with canaries. Members in the
 * order and the form in which the Go programs write them, so that replacing one by us changes no byte.
 */
export function mirroredClusterConfig(config: ClusterConfig): Buffer {
  const capabilities = {
    syncedCanaries: true,
    cached: true,
    maxConnectedClusters: config.maxConnectedClusters || undefined,
    serviceExportsEnabled: config.serviceExportsEnabled,
    endpointSlicesExportMode: config.endpointSlicesExportMode || undefined,
  };
  const json = JSON.stringify({ id: config.id || undefined, capabilities });
  return Buffer.from(json.replace(/[<>&\u2028\u2029]/g, escaped), 'utf8');
}

export function sameClusterConfig(a: ClusterConfig, b: ClusterConfig): boolean {
  return (Object.keys(a) as (keyof ClusterConfig)[]).every((member) => a[member] === b[member]);
}

/** The config as it may be logged and shown: what a remote has put into it is cut. */
export function shownClusterConfig(config: ClusterConfig): ClusterConfig {
  return { ...config, endpointSlicesExportMode: printable(config.endpointSlicesExportMode, MAX_EXPORT_MODE_LENGTH) };
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function parseJson(value: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(value).toString('utf8'));
  } catch {
    // The parser's message quotes the value.
    throw new ClusterConfigError('the cluster config is not JSON');
  }
}

/** Members by their name in lower case; none where `value` is absent. */
function members(value: unknown, what: string): ReadonlyMap<string, unknown> {
  if (value === undefined || value === null) return new Map();
  if (typeof value !== 'object' || Array.isArray(value)) throw new ClusterConfigError(`${what} is not an object`);
  return new Map(Object.entries(value).map(([name, member]) => [name.toLowerCase(), member]));
}

function bool(of: ReadonlyMap<string, unknown>, name: string): boolean | undefined {
  const value = of.get(name.toLowerCase()) ?? undefined;
  if (value === undefined || typeof value === 'boolean') return value;
  throw new ClusterConfigError(`${name} is not a boolean`);
}

function uint32(of: ReadonlyMap<string, unknown>, name: string): number {
  const value = of.get(name.toLowerCase()) ?? 0;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= UINT32_MAX) return value;
  throw new ClusterConfigError(`${name} is not a whole number from 0 to ${UINT32_MAX}`);
}

function text(of: ReadonlyMap<string, unknown>, name: string): string {
  const value = of.get(name.toLowerCase()) ?? '';
  if (typeof value === 'string') return value.toWellFormed();
  throw new ClusterConfigError(`${name} is not a string`);
}
