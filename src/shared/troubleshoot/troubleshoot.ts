/**
 * The whole report: the blocks of the original's command, each as soon as it is complete, and after them all our verdicts.
 */
import type { Problem } from '../diagnosis/pod-checks.ts';
import { MAX_CONCURRENT_CHECKS, MAX_STATUS_TEXT_LENGTH } from '../limits.ts';
import { printable } from '../printable.ts';
import { configFiles, MARK } from './config-directory.ts';
import { checkEtcd, type EtcdCheckTools } from './etcd-check.ts';
import type { EtcdFindings } from './findings.ts';
import { inOrder } from './in-order.ts';
import { nameProblem, sharedProblems, unmarkedProblem } from './mesh-verdicts.ts';
import { reportLines } from './report.ts';
import { problemsOf, type Surroundings } from './verdicts.ts';

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
  for await (const { item: cluster, result } of inOrder(chosen, MAX_CONCURRENT_CHECKS, check)) {
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
      return [...own, ...verdictsOn(findings, surroundings)].map((line) => `${about}: ${line}`);
    }),
    ...(more?.unknown ?? []).map((cluster) => `${shown(cluster)}: no such file; found: ${known}`),
    ...(more?.ignored ?? []).map((name) => `${shown(name)}: ${verdictOf(unmarkedProblem(MARK))}`),
    ...sharedProblems(all).map(({ problem }) => verdictOf(problem)),
  ];
  return ['', ...(lines.length === 0 ? ['no problem found'] : lines).map((line) => `Verdict: ${line}`)];
}

function nameVerdicts(cluster: string, ownName: string | undefined): readonly string[] {
  const problem = nameProblem(cluster);
  if (problem !== undefined) return [verdictOf(problem)];
  return cluster === ownName ? ['the file is ignored: it has the name of the local cluster'] : [];
}

function verdictsOn(findings: EtcdFindings, surroundings: Surroundings): readonly string[] {
  return problemsOf(findings, surroundings).map(verdictOf);
}

/** The problem and the remedy on one line. */
function verdictOf({ evidence, remedy }: Problem): string {
  return printable(remedy === '' ? evidence : `${evidence}; ${remedy}`, MAX_STATUS_TEXT_LENGTH);
}

function shown(name: string): string {
  return printable(name, MAX_STATUS_TEXT_LENGTH);
}

function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
