/**
 * What is wrong with the import policy, or is probably not meant, with the IDs of the doctor: the file, rules that never count, and
 * what the policy leaves of each remote. Limits that a remote exceeds belong here too: the policy may set them.
 */
import { type Finding, MAX_LINE_LENGTH } from '../../shared/diagnosis/finding.ts';
import { findingOf, problem } from '../../shared/diagnosis/pod-checks.ts';
import { keyText } from '../../shared/etcd/types.ts';
import { printable } from '../../shared/printable.ts';
import { importedOf, importedTextOf, type PolicyRemote } from './report.ts';
import type { CurrentPolicy } from './rules/current-policy.ts';
import { Glob } from './rules/glob.ts';
import type { ImportPolicy } from './rules/policy.ts';

export interface PolicyInForce {
  /** The flag. */
  readonly path: string;
  /** Undefined without the flag. */
  readonly policy: Pick<CurrentPolicy, 'problem' | 'absence' | 'rules'> | undefined;
}

/** A remote, and what it is up to. */
export interface ExaminedRemote extends PolicyRemote {
  readonly state: { readonly phase: { readonly kind: string; readonly reason?: string | undefined } };
}

const PLAN = 'see what a rule imports with kvstoremesh-dbg import-plan';

export function policyFindings({ path, policy }: PolicyInForce, remotes: readonly ExaminedRemote[]): readonly Finding[] {
  const names = remotes.map(({ name }) => name);
  return [
    ...(policy === undefined ? [] : [...fileFindings(path, policy), ...ruleFindings(policy.rules, names)]),
    ...remotes.flatMap(remoteFindings),
  ];
}

function fileFindings(path: string, { problem: wrong, absence }: NonNullable<PolicyInForce['policy']>): readonly Finding[] {
  const remedy = 'correct the file, and compare it with the mirrors before: kvstoremesh-dbg import-plan FILE';
  if (wrong !== undefined) return [findingOf(problem('import-policy-file', shown(wrong), remedy), path)];
  if (absence === undefined) return [];
  const evidence = `${shown(absence)}; everything is imported until there is a policy`;
  return [
    findingOf(problem('import-policy-file', evidence, 'write or mount the file, or remove --import-policy', 'warning'), path),
  ];
}

/** Rules that count for no remote: an earlier one matches all that they do, or there is no such cluster. */
function ruleFindings(rules: ImportPolicy, clusters: readonly string[]): readonly Finding[] {
  const globs = rules.map(({ match }) => new Glob(match));
  const counting = new Set(clusters.map((cluster) => globs.findIndex((glob) => glob.matches(cluster))));
  return globs.flatMap((glob, index) => {
    if (counting.has(index)) return [];
    const earlier = globs.slice(0, index);
    // A star is part of no name: a pattern that matches another one as text matches all that it does.
    const cover = earlier.find((other) => other.matches(glob.text));
    const subject = `rule ${JSON.stringify(glob.text)}`;
    const told = (evidence: string, remedy: string) => [
      findingOf(problem('import-policy-rule', evidence, remedy, 'warning'), subject),
    ];
    if (cover !== undefined)
      return told(
        `never counts: rule ${JSON.stringify(cover.text)} before it matches all of its clusters`,
        'put it before that rule',
      );
    const taken = clusters.filter((cluster) => glob.matches(cluster));
    if (taken.length > 0)
      return told(`counts for no cluster: rules before it match ${taken.slice(0, 3).join(', ')}`, 'put it before these rules');
    if (clusters.length === 0) return [];
    return told(`matches none of the ${clusters.length} remote clusters`, 'correct its match, or remove it');
  });
}

function remoteFindings(remote: ExaminedRemote): readonly Finding[] {
  const { name, policy, state } = remote;
  const { phase } = state;
  const about = (...args: Parameters<typeof problem>) => findingOf(problem(...args), name, name);
  const found: Finding[] = [];
  if (phase.kind === 'stopped') found.push(about('remote-quota', shown(phase.reason ?? ''), ''));
  if (policy?.rule === undefined) return found;
  const rule = `rule ${JSON.stringify(policy.rule.rule.match)}`;
  const imported = importedTextOf(remote);
  const outside = [...policy.tally.outside];
  const [first] = outside;
  const counted = importedOf(remote).filter(({ of }) => of !== undefined);
  if (first !== undefined) {
    const { key, address, list } = first;
    const keys = outside.length === 1 ? '1 key has an address' : `${outside.length} keys have addresses`;
    const example = `such as ${keyText(key)}: ${address || 'no address'} is not in ${list}`;
    const evidence = [`${keys} outside of ${rule}, ${example}`, ...(imported === undefined ? [] : [imported])].join('; ');
    const remedy = 'add the CIDR to the rule if it belongs to the cluster; all such keys: GET /v1/import-policy';
    found.push(about('import-policy-addresses', evidence, remedy, 'warning'));
  } else if (phase.kind === 'mirroring' && counted.length > 0 && counted.every((kind) => kind.imported === 0)) {
    const remedy = `correct namespaces, podCIDRs and nodeCIDRs of the rule; ${PLAN}`;
    found.push(about('import-policy-empty', `${imported}, ${rule}`, remedy, 'warning'));
  }
  return found;
}

function shown(text: string): string {
  return printable(text, MAX_LINE_LENGTH);
}
