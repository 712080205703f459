/**
 * The policy file: `clusters`, a list of rules. The first rule whose `match` has the name of a cluster counts.
 *
 * Everything in it is checked: a name that was misspelt would import what its writer wanted to keep out. One error makes the
 * whole file wrong.
 */
import { z } from 'zod';
import { ProgramError } from '../../../shared/errors.ts';
import { MIRRORED_KINDS } from '../../../shared/etcd/keyspace.ts';
import { readBoundedFile } from '../../../shared/files/bounded-file.ts';
import { keyText, parseYaml, type YamlDocument, YamlFileError } from '../../../shared/files/yaml-file.ts';
import { printable } from '../../../shared/printable.ts';
import { cidrPrefix } from '../../import-guard/addresses.ts';
import { MAX_IMPORT_POLICY_BYTES, MAX_PATTERN_LENGTH, MAX_POLICY_ENTRIES, MAX_POLICY_RULES } from '../limits.ts';
import type { Cidr, ClusterRule, ImportPolicy } from './policy.ts';

/** The message names file, line, column and member, and what is allowed there. */
export class ImportPolicyError extends ProgramError {
  readonly code = 'IMPORT_POLICY_INVALID';
  readonly retriable = true;
}

const PATTERN = /^(?:[a-z0-9-]|\*(?!\*))+$/;
const QUANTITY = /^(0|[1-9]\d{0,14})([kMGT]|[KMGT]i)?$/;
const UNITS: Readonly<Record<string, number>> = {
  k: 1000,
  M: 1000 ** 2,
  G: 1000 ** 3,
  T: 1000 ** 4,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
};

/** The message of each check is what is allowed in that place. */
const pattern = z
  .string('a name, in which * stands for any characters')
  .max(MAX_PATTERN_LENGTH, `at most ${MAX_PATTERN_LENGTH} characters`)
  .regex(PATTERN, 'a-z, 0-9, "-" and single "*"');
const listOf = <T extends z.ZodType>(entry: T, what: string, least: string) =>
  z
    .array(entry, `a list of ${what}`)
    .min(1, `at least one entry; ${least}`)
    .max(MAX_POLICY_ENTRIES, `at most ${MAX_POLICY_ENTRIES} entries`);
const cidr = z.string('a CIDR such as 10.8.0.0/13 or fd00:8::/32').transform((text, context): Cidr => {
  const prefix = cidrPrefix(text);
  if (typeof prefix === 'object') return { text, prefix };
  context.addIssue(prefix ?? 'a CIDR such as 10.8.0.0/13 or fd00:8::/32');
  return z.NEVER;
});
const cidrs = listOf(cidr, 'CIDRs', 'leave it out for any address').optional();
const count = z.int('a whole number; 0 for no limit').min(0, 'a whole number; 0 for no limit').optional();
const BYTES = 'a number of bytes such as 200Mi; 0 for no limit';
const bytes = z.union([z.int().min(0), z.string()], BYTES).transform((given, context): number => {
  const [, digits, unit = ''] = QUANTITY.exec(String(given)) ?? [];
  const value = Number(digits) * (UNITS[unit] ?? 1);
  if (Number.isSafeInteger(value)) return value;
  context.addIssue(BYTES);
  return z.NEVER;
});
const RULE = z.strictObject(
  {
    match: pattern,
    kinds: z
      .array(z.enum(MIRRORED_KINDS, MIRRORED_KINDS.join(', ')), `a list of ${MIRRORED_KINDS.join(', ')}`)
      .max(MIRRORED_KINDS.length, 'each kind once')
      .optional(),
    namespaces: z
      .strictObject(
        {
          allow: listOf(pattern, 'namespaces', 'leave it out for all namespaces').optional(),
          deny: listOf(pattern, 'namespaces', 'leave it out for none').optional(),
        },
        'allow and deny',
      )
      .optional(),
    podCIDRs: cidrs,
    nodeCIDRs: cidrs,
    quota: z
      .strictObject({ keys: count, bytes: bytes.optional(), changesPerSecond: count }, 'keys, bytes and changesPerSecond')
      .optional(),
  },
  'a rule with match, kinds, namespaces, podCIDRs, nodeCIDRs and quota',
);
const RULES = `clusters, a list of at most ${MAX_POLICY_RULES} rules; [] to import everything`;
const FILE = z.strictObject({ clusters: z.array(RULE, RULES).max(MAX_POLICY_RULES, RULES) }, RULES);

/** The policy in `file`; one without rules where it has no content. Rejects with ImportPolicyError or FileReadError. */
export async function readImportPolicy(file: string): Promise<ImportPolicy> {
  const text = (await readBoundedFile(file, MAX_IMPORT_POLICY_BYTES)).toString('utf8');
  return parseImportPolicy(text, file) ?? [];
}

/** The policy in `text`; undefined where it has no content. Throws ImportPolicyError; `file` is for messages. */
export function parseImportPolicy(text: string, file: string): ImportPolicy | undefined {
  const yaml = yamlOf(text, file);
  if (yaml.content === null || yaml.content === undefined) return undefined;
  const parsed = FILE.safeParse(yaml.content);
  if (!parsed.success) throw wrong(yaml, parsed.error.issues[0]);
  const policy = parsed.data.clusters.map(({ match, kinds, namespaces, podCIDRs, nodeCIDRs, quota }): ClusterRule => {
    return {
      match,
      kinds,
      namespaces: namespaces && { allow: namespaces.allow, deny: namespaces.deny ?? [] },
      podCIDRs,
      nodeCIDRs,
      quota: { keys: quota?.keys, bytes: quota?.bytes, changesPerSecond: quota?.changesPerSecond },
    };
  });
  checkRepeats(policy, yaml);
  return policy;
}

/** A rule that can never count was meant otherwise. */
function checkRepeats(policy: ImportPolicy, yaml: YamlDocument): void {
  const before = new Map<string, number>();
  for (const [index, { match, kinds }] of policy.entries()) {
    const keys = ['clusters', index, 'match'];
    const same = before.get(match) ?? before.get('*');
    if (same !== undefined) {
      const other = yaml.position(['clusters', same, 'match']).replace(/^.*:(?=\d+:\d+$)/, '');
      const what = policy[same]?.match === match ? 'has the same match' : 'matches every cluster';
      throw told(
        yaml,
        keys,
        'value',
        `${JSON.stringify(match)} never counts: the rule at ${other} ${what}; allowed: one rule each`,
      );
    }
    before.set(match, index);
    const twice = kinds?.findIndex((kind, at) => kinds.indexOf(kind) !== at) ?? -1;
    if (twice >= 0) throw told(yaml, ['clusters', index, 'kinds', twice], 'value', 'allowed: each kind once');
  }
}

type Issue = z.core.$ZodIssue;

function wrong(yaml: YamlDocument, issue: Issue | undefined): ImportPolicyError {
  const path = issue?.path ?? [];
  if (issue?.code !== 'unrecognized_keys') return told(yaml, path, 'value', `allowed: ${issue?.message}`);
  const name = issue.keys[0] ?? '';
  const allowed = issue.message;
  return told(yaml, [...path, name], 'name', `unknown; allowed: ${allowed}`);
}

function told(yaml: YamlDocument, keys: readonly PropertyKey[], of: 'value' | 'name', problem: string): ImportPolicyError {
  return new ImportPolicyError(`${yaml.position(keys, of)}: ${printable(keyText(keys), 2 * MAX_PATTERN_LENGTH)}${problem}`);
}

function yamlOf(text: string, file: string): YamlDocument {
  try {
    return parseYaml(text, file, MAX_IMPORT_POLICY_BYTES, { isExact: true });
  } catch (thrown) {
    throw thrown instanceof YamlFileError ? new ImportPolicyError(thrown.message, { cause: thrown }) : thrown;
  }
}
