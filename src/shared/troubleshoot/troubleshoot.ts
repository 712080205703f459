/**
 * The whole report: the blocks of the original's command, each as soon as it is complete, and after them all our verdicts.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { clusterNameProblem } from '../cluster-info.ts';
import { readBoundedFile } from '../files/bounded-file.ts';
import { MAX_CONCURRENT_CHECKS, MAX_CONFIG_FILE_BYTES, MAX_STATUS_TEXT_LENGTH } from '../limits.ts';
import { printable } from '../printable.ts';
import { checkEtcd, type EtcdCheckTools } from './etcd-check.ts';
import type { EtcdFindings } from './findings.ts';
import { fileFailure } from './go-errors.ts';
import { reportLines } from './report.ts';
import { verdictsOn } from './verdicts.ts';

export interface TroubleshootOptions {
  readonly tools: EtcdCheckTools;
  /** For each etcd. */
  readonly timeoutMs: number;
  /** The local cluster, where it is known. */
  readonly ownName?: string | undefined;
}

export interface MeshTroubleshootOptions extends TroubleshootOptions {
  /** The file of the local etcd, if that is to be checked too. */
  readonly localConfig: string | undefined;
  readonly directory: string;
  /** All of the directory where empty. */
  readonly clusters: readonly string[];
}

/** Yields text of whole lines. */
export async function* troubleshootLocal(path: string, options: TroubleshootOptions): AsyncGenerator<string, void> {
  const findings = await checkEtcd({ cluster: undefined, path }, options.tools, options.timeoutMs);
  yield text(['Local etcd kvstore:', ...reportLines(findings)]);
  yield text(verdictSection([findings], options));
}

/** Yields text of whole lines. */
export async function* troubleshootMesh(options: MeshTroubleshootOptions): AsyncGenerator<string, void> {
  const { localConfig, directory, ownName, tools, timeoutMs } = options;
  const all: EtcdFindings[] = [];
  if (localConfig !== undefined) {
    const findings = await checkEtcd({ cluster: undefined, path: localConfig }, tools, timeoutMs);
    yield text(['Local etcd kvstore:', ...reportLines(findings), '', '']);
    all.push(findings);
  }
  const found = await configFiles(directory);
  if (found instanceof Error) {
    yield text([`Unable to retrieve cluster configurations: ${found.message}`, 'This is expected when Cluster Mesh is disabled']);
    if (all.length > 0) yield text(verdictSection(all, options));
    return;
  }
  const { files, ignored } = found;
  yield text([`Found ${files.size} cluster configurations`]);
  if (options.clusters.length > 0)
    yield text([`Troubleshooting filtered subset of clusters: ${options.clusters.map(shown).join(', ')}`]);
  const chosen = (options.clusters.length > 0 ? [...options.clusters] : [...files.keys()]).sort();
  const unknown: string[] = [];
  const check = async (cluster: string) => {
    const path = files.get(cluster);
    return path === undefined ? undefined : checkEtcd({ cluster, path }, tools, timeoutMs);
  };
  for await (const { item: cluster, result } of inOrder(chosen, check)) {
    const title = [
      '',
      `Cluster ${JSON.stringify(shown(cluster))}:`,
      ...(cluster === ownName ? ['ℹ️  This entry corresponds to the local cluster'] : []),
    ];
    yield text([...title, ...(result === undefined ? ['❌ Configuration not found'] : reportLines(result))]);
    if (result === undefined) unknown.push(cluster);
    else all.push(result);
  }
  yield text(verdictSection(all, options, { unknown, known: [...files.keys()], ignored }));
}

interface Unknown {
  readonly unknown: readonly string[];
  readonly known: readonly string[];
  readonly ignored: readonly string[];
}

function verdictSection(
  all: readonly EtcdFindings[],
  { tools, ownName }: TroubleshootOptions,
  more?: Unknown,
): readonly string[] {
  const surroundings = { nowMs: tools.nowMs(), ownName };
  const known = more?.known.map(shown).join(', ') || 'none';
  const lines = [
    ...all.flatMap((findings) => {
      const { cluster } = findings;
      const about = cluster === undefined ? 'local etcd' : shown(cluster);
      const own = cluster === undefined ? [] : nameVerdicts(cluster, ownName);
      return [...own, ...verdictsOn(findings, surroundings)].map((problem) => `${about}: ${problem}`);
    }),
    ...(more?.unknown ?? []).map((cluster) => `${shown(cluster)}: no such file; found: ${known}`),
    ...(more?.ignored ?? []).map(
      (name) =>
        `${shown(name)}: the file is ignored: it does not contain "${MARK}"; add the endpoints of the cluster, or remove the file`,
    ),
    ...sharedVerdicts(all),
  ];
  return ['', ...(lines.length === 0 ? ['no problem found'] : lines).map((line) => `Verdict: ${line}`)];
}

function nameVerdicts(cluster: string, ownName: string | undefined): readonly string[] {
  const problem = clusterNameProblem(cluster);
  if (problem !== undefined) return [`the file is ignored: ${problem}; rename it to the name of its cluster`];
  return cluster === ownName ? ['the file is ignored: it has the name of the local cluster'] : [];
}

/** What shows only where several etcds are compared. */
function sharedVerdicts(all: readonly EtcdFindings[]): readonly string[] {
  const found = all.flatMap(({ cluster, client }) => {
    if (client?.kind !== 'connected') return [];
    return [{ name: cluster === undefined ? 'local etcd' : shown(cluster), store: client.store, id: client.cluster?.id }];
  });
  const stores = shared(found, ({ store }) => store);
  const ids = shared(found, ({ id }) => id || undefined);
  return [
    ...stores.map((names) => `${names} reach the same etcd; correct the addresses, two clusters may use the same NodePort`),
    ...ids.map((names) => `${names} have the same cluster ID; change the ID of one of them`),
  ];
}

function shared<T extends { readonly name: string }>(found: readonly T[], by: (each: T) => unknown): readonly string[] {
  const groups = Map.groupBy(
    found.filter((each) => by(each) !== undefined),
    by,
  );
  return [...groups.values()].filter((group) => group.length > 1).map((group) => group.map(({ name }) => name).join(' and '));
}

const MARK = 'endpoints:';

interface ConfigFiles {
  /** The files of clusters by name; the daemon may ignore some of them. */
  readonly files: ReadonlyMap<string, string>;
  /** Files with names of clusters that have no endpoints. */
  readonly ignored: readonly string[];
}

async function configFiles(directory: string): Promise<ConfigFiles | Error> {
  try {
    const names = (await readdir(directory)).sort();
    const kinds = await Promise.all(names.map((name) => kindOf(join(directory, name))));
    const ofKind = (wanted: FileKind) => names.filter((_, index) => kinds[index] === wanted);
    return {
      files: new Map(ofKind('cluster').map((name) => [name, join(directory, name)])),
      ignored: ofKind('other').filter((name) => clusterNameProblem(name) === undefined),
    };
  } catch (thrown) {
    return new Error(fileFailure(directory, thrown).text);
  }
}

type FileKind = 'cluster' | 'other' | 'none';

async function kindOf(path: string): Promise<FileKind> {
  try {
    if (!(await stat(path)).isFile()) return 'none';
    return (await readBoundedFile(path, MAX_CONFIG_FILE_BYTES)).includes(MARK) ? 'cluster' : 'other';
  } catch {
    return 'none';
  }
}

/** Works on several items at a time, and yields the results in the order of the items. */
async function* inOrder<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
): AsyncGenerator<{ readonly item: T; readonly result: R }> {
  const underWay: Promise<R>[] = [];
  for (const [index, item] of items.entries()) {
    for (let next = underWay.length; next < Math.min(items.length, index + MAX_CONCURRENT_CHECKS); next += 1) {
      underWay.push(work(items[next] as T));
    }
    yield { item, result: (await underWay[index]) as R };
  }
}

function shown(name: string): string {
  return printable(name, MAX_STATUS_TEXT_LENGTH);
}

function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
