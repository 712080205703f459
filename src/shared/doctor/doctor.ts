/**
 * All checks that can be made inside a Pod: of the local etcd, of the directory of remote clusters, and of the etcd of each remote.
 *
 * Probes run side by side; what is wrong is decided by pure functions of what they found.
 */
import type { Finding } from '../diagnosis/finding.ts';
import { findingOf, groupOf, type PodCheckId, type Problem, problem } from '../diagnosis/pod-checks.ts';
import { DOCTOR_GRACE_MS, MAX_DOCTOR_CHECKS, MAX_STATUS_TEXT_LENGTH } from '../limits.ts';
import { printable } from '../printable.ts';
import { unlessAborted, withDeadline } from '../time/abort.ts';
import { systemClock } from '../time/clock.ts';
import { configFiles, MARK } from '../troubleshoot/config-directory.ts';
import { readConfig } from '../troubleshoot/config-reading.ts';
import { checkEtcd } from '../troubleshoot/etcd-check.ts';
import type { EtcdFindings } from '../troubleshoot/findings.ts';
import { inOrder } from '../troubleshoot/in-order.ts';
import { nameProblem, sharedProblems, unmarkedProblem } from '../troubleshoot/mesh-verdicts.ts';
import { problemsOf } from '../troubleshoot/verdicts.ts';
import { withoutExplained } from './explained.ts';
import { localProblems } from './local-checks.ts';
import { type LocalProbe, probeLocal } from './local-probe.ts';
import { type OwnCluster, type RemoteFindings, remoteProblems } from './remote-checks.ts';
import { probeRemote } from './remote-probe.ts';
import type { DoctorTools } from './tools.ts';

export interface DoctorOptions {
  readonly tools: DoctorTools;
  /** For each etcd. */
  readonly timeoutMs: number;
  /** The file of the local etcd. */
  readonly localConfig: string;
  /** See metricsUrls. */
  readonly metricsUrl: string;
  /** Where it is known; ID and limit are read from the local etcd otherwise. */
  readonly own: OwnCluster;
}

export interface MeshDoctorOptions extends DoctorOptions {
  readonly directory: string;
  /** All of the directory where empty. */
  readonly clusters: readonly string[];
}

const LOCAL = 'local etcd';

/** The limit of a cluster that names none. */
const DEFAULT_MAX_CLUSTERS = 255;

/** Share of the time of an etcd for the checks of `troubleshoot`; the rest is for what follows if it responds. */
const FIRST_SHARE = 0.75;

/** Of the local etcd alone. */
export async function examineLocal(options: DoctorOptions): Promise<readonly Finding[]> {
  return localFindings(await visitLocal(options), options);
}

/** Of the local etcd and of the remotes. */
export async function examineMesh(options: MeshDoctorOptions): Promise<readonly Finding[]> {
  const { tools, directory, clusters } = options;
  const [local, files] = await Promise.all([visitLocal(options), visitDirectory(options)]);
  const own = ownOf(options.own, local.probe);
  const first = localFindings(local, options);
  if (files instanceof Error) {
    const remedy = 'mount the Secret cilium-kvstoremesh, or set --clustermesh-config';
    return [findingOf(problem('config-directory', files.message, remedy), directory), ...first];
  }
  const about = (cluster: string, problems: readonly Problem[]) =>
    problems.map((each) => findingOf(each, printable(cluster, MAX_STATUS_TEXT_LENGTH), cluster));
  const surroundings = { nowMs: tools.nowMs(), ownName: own.name };
  const visited = files.visited.filter(({ cluster }) => cluster !== own.name);
  const problems = new Map(
    visited.map(({ cluster, remote }) => [
      cluster,
      withoutExplained(
        remote === undefined
          ? [problem('time', `not checked within ${options.timeoutMs / 1000} s`, 'check it alone', 'unknown')]
          : [...problemsOf(remote, surroundings), ...remoteProblems(remote, own, tools.nowMs())],
      ),
    ]),
  );
  const all = [local.findings, ...visited.flatMap(({ remote }) => (remote === undefined ? [] : [remote]))];
  return [
    ...files.found.flatMap(({ cluster, problem: found }) => about(cluster, [found])),
    ...visited.flatMap(({ cluster, remote }) => {
      const found = problems.get(cluster) ?? [];
      return found.length > 0 || remote === undefined ? about(cluster, found) : [remoteOk(remote)];
    }),
    ...together(all, problems),
    ...clusters
      .filter((cluster) => !files.known.includes(cluster))
      .flatMap((cluster) =>
        about(cluster, [problem('config-name', 'no such file', `found: ${files.known.join(', ') || 'none'}`)]),
      ),
    ...first,
  ];
}

interface Local {
  readonly findings: EtcdFindings;
  /** Undefined where the file cannot be used. */
  readonly probe: LocalProbe | undefined;
}

async function visitLocal({ tools, timeoutMs, localConfig, metricsUrl, own }: DoctorOptions): Promise<Local> {
  const config = await readConfig(localConfig, tools.parseConfig);
  const usable = config.kind === 'usable' && config.config.endpoints.length > 0 ? config.config : undefined;
  const asked =
    usable && withinMs(timeoutMs, (signal) => probeLocal({ config: usable, ownName: own.name, metricsUrl, tools, signal }));
  const [findings, probe] = await Promise.all([checkEtcd({ cluster: undefined, path: localConfig }, tools, timeoutMs), asked]);
  return { findings, probe };
}

interface Visited {
  readonly cluster: string;
  /** Undefined where the time was over before. */
  readonly remote: RemoteFindings | undefined;
}

interface Directory {
  readonly visited: readonly Visited[];
  /** Names of files, readable or not. */
  readonly known: readonly string[];
  /** What is wrong with files whose etcd is not checked. */
  readonly found: readonly { readonly cluster: string; readonly problem: Problem }[];
}

async function visitDirectory(options: MeshDoctorOptions): Promise<Directory | Error> {
  const { directory, clusters, own, timeoutMs } = options;
  const listed = await configFiles(directory);
  if (listed instanceof Error) return listed;
  const { files, ignored, unreadable } = listed;
  const isChosen = (cluster: string) => cluster !== own.name && (clusters.length === 0 || clusters.includes(cluster));
  const named = [...files.keys()].filter(isChosen);
  const candidates = [...(own.name === undefined ? [] : [own.name]), ...files.keys()];
  const visited: Visited[] = [];
  const valid = named.filter((cluster) => nameProblem(cluster) === undefined);
  await withinMs(timeoutMs + DOCTOR_GRACE_MS, async (signal) => {
    const visit = (cluster: string) =>
      unlessAborted(visitRemote(cluster, files.get(cluster) ?? '', candidates, options), signal).catch(() => undefined);
    for await (const { item: cluster, result: remote } of inOrder(valid, MAX_DOCTOR_CHECKS, visit))
      visited.push({ cluster, remote });
  });
  return {
    visited,
    known: [...files.keys(), ...ignored, ...unreadable.keys()],
    found: [
      ...named.flatMap((cluster) => {
        const wrong = nameProblem(cluster);
        return wrong === undefined ? [] : [{ cluster, problem: wrong }];
      }),
      ...ignored.filter(isChosen).map((cluster) => ({ cluster, problem: unmarkedProblem(MARK) })),
      ...[...unreadable].flatMap(([cluster, why]) =>
        isChosen(cluster)
          ? [{ cluster, problem: problem('config-file', `the file cannot be read: ${why}`, 'mount the file and its volume') }]
          : [],
      ),
    ],
  };
}

/** Never rejects. */
async function visitRemote(
  cluster: string,
  path: string,
  candidates: readonly string[],
  { tools, timeoutMs }: MeshDoctorOptions,
): Promise<RemoteFindings> {
  return withinMs(timeoutMs, async (signal) => {
    const findings = await checkEtcd({ cluster, path }, tools, FIRST_SHARE * timeoutMs, candidates);
    const { config, client } = findings;
    const isThere = config.kind === 'usable' && client?.kind === 'connected';
    const probe = isThere ? await probeRemote(config.config, cluster, tools, signal) : undefined;
    return { ...findings, cluster, probe };
  });
}

/** `work` with a signal that is aborted after `ms`. */
function withinMs<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = () => new Error(`not within ${ms} ms`);
  return withDeadline(work, { ms, late, clock: systemClock, signal: new AbortController().signal });
}

/** The local cluster as given, and as it is in the local etcd. */
function ownOf(given: OwnCluster, probe: LocalProbe | undefined): OwnCluster {
  const { own } = probe ?? {};
  if (own === undefined) return given;
  return { id: own.id, maxConnectedClusters: own.maxConnectedClusters || DEFAULT_MAX_CLUSTERS, ...given };
}

function localFindings({ findings, probe }: Local, { tools, own }: DoctorOptions): readonly Finding[] {
  const problems = withoutExplained([
    ...problemsOf(findings, { nowMs: tools.nowMs(), ownName: own.name }),
    ...(probe === undefined ? [] : localProblems(probe)),
  ]);
  const found = problems.map((each) => findingOf(each, LOCAL));
  return [...found, ...localOks(probe, problems)];
}

/** What was found in order, a line for each that says something. */
function localOks(probe: LocalProbe | undefined, problems: readonly Problem[]): readonly Finding[] {
  const { status, users, series } = probe ?? {};
  const isFine = (...checks: readonly PodCheckId[]) => !problems.some(({ check }) => checks.includes(check));
  const quota = status?.dbSizeQuota || series?.quotaBytes;
  const mib = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
  const ok = (check: PodCheckId, evidence: string): Finding => ({
    check,
    group: groupOf(check),
    verdict: 'ok',
    subject: LOCAL,
    evidence,
    remedy: '',
  });
  if (status === undefined) return [];
  return [
    ...(isFine('etcd-version', 'etcd-leader', 'etcd-learner') ? [ok('etcd-leader', `etcd ${status.version} has a leader`)] : []),
    ...(isFine('etcd-alarm', 'etcd-quota', 'etcd-fragmentation')
      ? [ok('etcd-quota', `${mib(status.dbSize)} of ${quota === undefined ? 'an unknown quota' : mib(quota)}, no alarm`)]
      : []),
    ...(series?.watchers !== undefined && isFine('etcd-watchers') ? [ok('etcd-watchers', `${series.watchers} watchers`)] : []),
    ...(typeof users === 'object' && isFine('etcd-auth', 'etcd-users', 'etcd-roles')
      ? [ok('etcd-roles', 'users and roles are those of etcdinit')]
      : []),
  ];
}

function remoteOk({ cluster, client, endpoints }: RemoteFindings): Finding {
  const [version] = endpoints.flatMap(({ tls, plain }) => {
    const answer = tls === undefined || tls.failed ? plain : tls.answer;
    return answer?.kind === 'version' ? [` ${answer.version}`] : [];
  });
  const { id } = (client?.kind === 'connected' && client.cluster) || {};
  const evidence = `etcd${version ?? ''} responds, ID ${id ?? 'unknown'}, heartbeat and permissions are in order`;
  return { check: 'cluster-config', group: groupOf('cluster-config'), verdict: 'ok', subject: cluster, evidence, remedy: '' };
}

/** What shows only where etcds are compared, unless one of them has a problem that explains it. */
function together(all: readonly EtcdFindings[], problems: ReadonlyMap<string, readonly Problem[]>): readonly Finding[] {
  const isExplained = (clusters: readonly (string | undefined)[], check: PodCheckId) =>
    clusters.some((cluster) =>
      problems.get(cluster ?? '')?.some(({ check: other }) => ELSEWHERE.includes(other) || other === check),
    );
  // Without a heartbeat two young etcds of the same token cannot be told apart.
  const isAlive = (cluster: string | undefined) =>
    all.some(({ client, ...each }) => each.cluster === cluster && client?.kind === 'connected' && client.heartbeat !== undefined);
  return sharedProblems(all).flatMap(({ problem: found, clusters }) => {
    if (isExplained(clusters, found.check) || (found.check !== 'cluster-id' && !clusters.every(isAlive))) return [];
    const [remote] = clusters.filter((cluster) => cluster !== undefined);
    const subject = clusters.includes(undefined) ? (remote ?? LOCAL) : clusters.join(' and ');
    return [findingOf(found, printable(subject, MAX_STATUS_TEXT_LENGTH), remote)];
  });
}

/** The address of such a remote leads elsewhere. */
const ELSEWHERE: readonly PodCheckId[] = ['wrong-cluster', 'own-cluster', 'load-balancer'];
