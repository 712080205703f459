/** What the doctor asks of the local etcd, besides the checks of `troubleshoot`. */
import type { EtcdAdminClient } from '../etcd/client.ts';
import { PermissionDeniedError } from '../etcd/errors.ts';
import { clusterConfigKey } from '../etcd/keyspace.ts';
import type { Permission } from '../etcd/operations/auth.ts';
import type { EtcdMaintenance } from '../etcd/operations/maintenance.ts';
import type { CheckedConfig, ClusterDescription } from '../troubleshoot/findings.ts';
import { type EtcdSeries, metricsUrls, readEtcdSeries } from './etcd-series.ts';
import type { DoctorTools, ExpectedUsers } from './tools.ts';

export type MemberStatus = Awaited<ReturnType<EtcdMaintenance['status']>>;
export type Alarm = Awaited<ReturnType<EtcdMaintenance['alarms']>>[number];

/** Users and roles as they are, of those that are expected. */
export interface FoundUsers {
  readonly isEnabled: boolean;
  /** The roles of each user; undefined where there is no such user. */
  readonly users: ReadonlyMap<string, readonly string[] | undefined>;
  readonly roles: ReadonlyMap<string, readonly Permission[] | undefined>;
}

export interface LocalProbe {
  /** Undefined where the etcd did not answer. */
  readonly status: MemberStatus | undefined;
  readonly alarms: readonly Alarm[] | undefined;
  readonly series: EtcdSeries | undefined;
  /** `denied`: the user of the configuration may not list them. */
  readonly users: FoundUsers | 'denied' | undefined;
  readonly expected: ExpectedUsers | undefined;
  /** What the local cluster publishes about itself. */
  readonly own: ClusterDescription | undefined;
}

export interface LocalProbeOptions {
  readonly config: CheckedConfig;
  /** Where it is known. */
  readonly ownName: string | undefined;
  /** Of etcd; see metricsUrls. */
  readonly metricsUrl: string;
  readonly tools: DoctorTools;
  readonly signal: AbortSignal;
}

/** Never rejects; over when the signal is aborted, or soon after. */
export async function probeLocal({ config, ownName, metricsUrl, tools, signal }: LocalProbeOptions): Promise<LocalProbe> {
  const expected = ownName === undefined ? undefined : tools.expectedUsers(ownName);
  const series = readEtcdSeries(metricsUrls(metricsUrl), signal);
  const nothing = { status: undefined, alarms: undefined, users: undefined, own: undefined, expected };
  let client: EtcdAdminClient;
  try {
    client = tools.connectLocal(config);
  } catch {
    return { ...nothing, series: await series };
  }
  try {
    const status = await answer(client.maintenance.status({ signal }));
    if (status === undefined) return { ...nothing, series: await series };
    const [alarms, users, own] = await Promise.all([
      answer(client.maintenance.alarms({ signal })),
      expected === undefined || status.isLearner ? undefined : findUsers(client, expected, signal),
      ownName === undefined ? undefined : answer(ownDescription(client, ownName, tools, signal)),
    ]);
    return { status, alarms, series: await series, users, expected, own };
  } finally {
    client.close();
  }
}

async function findUsers(
  { auth }: EtcdAdminClient,
  { users, roles }: ExpectedUsers,
  signal: AbortSignal,
): Promise<FoundUsers | 'denied' | undefined> {
  const options = { signal };
  try {
    const isEnabled = await auth.isEnabled(options);
    const foundUsers = await Promise.all(users.map(async ({ name }) => [name, await auth.rolesOf(name, options)] as const));
    const foundRoles = await Promise.all(roles.map(async ({ name }) => [name, await auth.permissionsOf(name, options)] as const));
    return { isEnabled, users: new Map(foundUsers), roles: new Map(foundRoles) };
  } catch (thrown) {
    return thrown instanceof PermissionDeniedError ? 'denied' : undefined;
  }
}

async function ownDescription(client: EtcdAdminClient, name: string, { describe }: DoctorTools, signal: AbortSignal) {
  const found = await client.get(clusterConfigKey(name), { signal });
  return found && describe(found.value);
}

/** Undefined where there is none. */
async function answer<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch {
    return undefined;
  }
}
