/**
 * `certs check`: what is wrong with the CA and the certificates, in Secrets or in mounted files.
 *
 * `-o json` prints the report. The text has one line per finding, and one per Secret without findings.
 */
import { join } from 'node:path';
import { FileReadError, readBoundedFile } from '../shared/files/bounded-file.ts';
import { FlagError } from '../shared/flags/error.ts';
import { quoted } from '../shared/flags/kinds.ts';
import type { Secrets } from '../shared/kubernetes/secrets.ts';
import { MAX_PEM_FILE_BYTES } from '../shared/limits.ts';
import { printable } from '../shared/printable.ts';
import type { Certificate } from '../shared/tls/certificate.ts';
import { bundleOf, type CaContent, caContentOf, caName } from './authority.ts';
import { CaSecretError } from './errors.ts';
import { expiryFinding, type Finding, type Judgement, type JudgementRules, judge } from './findings.ts';
import type { CheckFlags } from './flags.ts';
import {
  type CertsRun,
  extraAuthorities,
  hasPeerSecret,
  judgeStored,
  lackingIn,
  profileOptions,
  withSecrets,
} from './generate.ts';
import { type Profile, type ProfileName, profilesOf } from './profiles.ts';

export type Verdict = 'ok' | 'warning' | 'error';

export interface CheckedSecret {
  /** `namespace/name`, or a directory. */
  readonly secret: string;
  readonly verdict: Verdict;
  /** RFC 3339; absent where the certificate cannot be parsed. */
  readonly notAfter?: string;
  readonly commonName?: string;
  readonly issuer?: string;
  readonly managedBy?: string;
  readonly findings: readonly (Finding & { readonly remedy: string })[];
}

export interface CheckReport {
  readonly verdict: Verdict;
  readonly secrets: readonly CheckedSecret[];
}

/** Exit statuses of `certs check`. A failed check has another one. */
export const CHECK_STATUS: Readonly<Record<Verdict, number>> = { ok: 0, warning: 1, error: 2 };

/** Characters of the evidence of one finding. */
const MAX_EVIDENCE_LENGTH = 1_000;

/** Throws a ProgramError where the check itself fails. */
export async function check(flags: CheckFlags, run: CertsRun): Promise<CheckReport> {
  const rules = { nowMs: run.clock.nowMs(), renewBeforeMs: flags.renewBeforeMs };
  if (flags.directory.size > 0) return reportOn(await checkedFiles(flags, rules));
  const extra = await extraAuthorities(flags.extraCaFile);
  return withSecrets(flags, run, async (secrets) => reportOn(await checkedSecrets(secrets, flags, run, rules, extra)));
}

/** Lines `SECRET  VERDICT  evidence; remedy`. */
export function checkText({ secrets }: CheckReport): string {
  const rows = secrets.flatMap(({ secret, findings, notAfter = '', commonName, issuer }) => {
    const subject = commonName === undefined ? '' : `${commonName}, `;
    const end = `${subject}valid until ${notAfter}, issued by ${issuer}`;
    const sound = { secret, verdict: 'ok', text: end };
    const found = findings.map(({ severity, evidence, remedy }) => ({
      secret,
      verdict: severity,
      text: `${evidence}; ${remedy}`,
    }));
    return found.length === 0 ? [sound] : found;
  });
  const width = Math.max(0, ...rows.map(({ secret }) => secret.length));
  return rows
    .map(
      ({ secret, verdict, text }) => `${secret.padEnd(width)}  ${verdict.padEnd(7)}  ${printable(text, MAX_EVIDENCE_LENGTH)}\n`,
    )
    .join('');
}

interface Subject {
  readonly secret: string;
  readonly managedBy: string | undefined;
  readonly judgement: Judgement;
}

function reportOn(subjects: readonly Subject[]): CheckReport {
  const common = subjects.filter(({ judgement }) => judgement.trusted.length > 0);
  const secrets = subjects.map(({ secret, managedBy, judgement }): CheckedSecret => {
    const findings = [...judgement.findings, ...differences({ secret, judgement }, common)];
    const { leaf } = judgement;
    const told = findings.map((finding) => ({ ...finding, remedy: remedyFor(finding, managedBy) }));
    return {
      secret,
      verdict: worst(findings.map(({ severity }) => severity)),
      ...(leaf === undefined ? {} : described(leaf)),
      ...(managedBy === undefined ? {} : { managedBy }),
      findings: told,
    };
  });
  return { verdict: worst(secrets.map(({ verdict }) => verdict)), secrets };
}

function described({ notAfterMs, commonName, issuer }: Certificate) {
  const notAfter = `${new Date(notAfterMs).toISOString().slice(0, 19)}Z`;
  return { notAfter, ...(commonName === undefined ? {} : { commonName }), issuer };
}

function worst(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes('error')) return 'error';
  return verdicts.includes('warning') ? 'warning' : 'ok';
}

/** CAs that another Secret trusts and this one does not, unless a finding names them already. */
function differences({ secret, judgement }: Omit<Subject, 'managedBy'>, all: readonly Subject[]): readonly Finding[] {
  if (judgement.trusted.length === 0 || judgement.findings.some(({ code }) => code === 'ca-differs')) return [];
  for (const other of all) {
    const lacking = lackingIn(judgement.trusted, other.judgement.trusted);
    if (other.secret === secret || lacking.length === 0) continue;
    const evidence = `ca.crt lacks ${lacking.map(caName).join(', ')}, which ${other.secret} trusts`;
    return [{ code: 'ca-differs', severity: 'warning', evidence }];
  }
  return [];
}

async function checkedSecrets(
  secrets: Secrets,
  flags: CheckFlags,
  run: CertsRun,
  rules: JudgementRules,
  extra: readonly Certificate[],
): Promise<readonly Subject[]> {
  const stored = await secrets.read(flags.caSecret);
  const secret = secrets.fullName(flags.caSecret);
  const subjects: Subject[] = [];
  let ca: CaContent | undefined;
  try {
    if (stored === undefined) throw new CaSecretError(`Secret ${secret} does not exist`);
    ca = caContentOf(stored);
    const { certificate: leaf } = ca.current;
    subjects.push({ secret, managedBy: stored.manager, judgement: { findings: caFindings(ca, rules), leaf, trusted: [] } });
  } catch (thrown) {
    if (!(thrown instanceof CaSecretError)) throw thrown;
    const finding = { code: 'ca-unusable', severity: 'error', evidence: thrown.message } as const;
    subjects.push({ secret, managedBy: stored?.manager, judgement: { findings: [finding], leaf: undefined, trusted: [] } });
  }
  for (const profile of profilesOf(profileOptions(flags, await hasPeerSecret(secrets))))
    subjects.push(await checkedSecret(secrets, profile, ca, flags, run, extra));
  return subjects;
}

function caFindings({ rotation, current, next, previous }: CaContent, rules: JudgementRules): readonly Finding[] {
  const findings: Finding[] = [];
  const expiry = expiryFinding(current.certificate, { ...rules, renewBeforeMs: 0 });
  if (expiry?.code === 'expired') findings.push({ ...expiry, code: 'ca-expired' });
  else if (expiry !== undefined) findings.push({ ...expiry, code: 'ca-expires-soon' });
  const others = next === undefined ? previous : [next.certificate];
  const what = rotation === 'prepared' ? 'prepare done, next CA:' : 'switch done, previous CA still trusted:';
  if (rotation !== 'none') {
    const evidence = `CA rotation in progress: ${what} ${others.map(caName).join(', ')}`;
    findings.push({ code: 'rotation', severity: 'warning', evidence });
  }
  return findings;
}

async function checkedSecret(
  secrets: Secrets,
  profile: Profile,
  ca: CaContent | undefined,
  flags: CheckFlags,
  { clock }: CertsRun,
  extra: readonly Certificate[],
): Promise<Subject> {
  const secret = secrets.fullName(profile.secretName);
  const stored = await secrets.read(profile.secretName);
  if (stored === undefined) {
    const finding = { code: 'secret-missing', severity: 'error', evidence: 'the Secret does not exist' } as const;
    return { secret, managedBy: undefined, judgement: { findings: [finding], leaf: undefined, trusted: [] } };
  }
  const managedBy = stored.manager;
  const rules = { nowMs: clock.nowMs(), renewBeforeMs: flags.renewBeforeMs };
  const { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': trusted } = stored.data;
  if (ca === undefined) return { secret, managedBy, judgement: judge({ certificate, key, ca: trusted }, profile, rules) };
  const judgement = judgeStored(stored, ca, profile, { clock, flags });
  const lacking = judgement.trusted.length === 0 ? [] : lackingIn(judgement.trusted, bundleOf(ca, extra));
  if (lacking.length === 0) return { secret, managedBy, judgement };
  const evidence = `ca.crt lacks ${lacking.map(caName).join(', ')}, which ${secrets.fullName(flags.caSecret)} has`;
  const finding = { code: 'ca-differs', severity: 'error', evidence } as const;
  return { secret, managedBy, judgement: { ...judgement, findings: [...judgement.findings, finding] } };
}

/** File names in a mounted Secret, and in the volumes where Cilium's chart projects several Secrets. */
const FILE_NAMES: Readonly<Record<ProfileName, readonly (readonly [certificate: string, key: string, ca: string])[]>> = {
  server: [['tls.crt', 'tls.key', 'ca.crt']],
  admin: [['tls.crt', 'tls.key', 'ca.crt']],
  remote: [
    ['common-etcd-client.crt', 'common-etcd-client.key', 'common-etcd-client-ca.crt'],
    ['tls.crt', 'tls.key', 'ca.crt'],
  ],
  local: [
    ['local-etcd-client.crt', 'local-etcd-client.key', 'local-etcd-client-ca.crt'],
    ['tls.crt', 'tls.key', 'ca.crt'],
  ],
  peer: [['tls.crt', 'tls.key', 'ca.crt']],
};

async function checkedFiles(flags: CheckFlags, rules: JudgementRules): Promise<readonly Subject[]> {
  const profiles = profilesOf(profileOptions(flags, flags.directory.has('peer')));
  const wrong = [...flags.directory.keys()].find((name) => !Object.hasOwn(FILE_NAMES, name));
  if (wrong !== undefined)
    throw new FlagError(`flag --directory: ${quoted(wrong)} is not known; allowed: ${Object.keys(FILE_NAMES).join(', ')}`);
  const subjects: Subject[] = [];
  for (const profile of profiles) {
    const directory = flags.directory.get(profile.name);
    if (directory === undefined) continue;
    const judgement = judge(await materialIn(directory, profile.name), profile, rules);
    subjects.push({ secret: directory, managedBy: undefined, judgement });
  }
  return subjects;
}

async function materialIn(directory: string, name: ProfileName) {
  const read = (file: string) => readIfThere(join(directory, file));
  for (const [certificateFile, keyFile, caFile] of FILE_NAMES[name]) {
    const [certificate, key, ca] = [await read(certificateFile), await read(keyFile), await read(caFile)];
    if (certificate !== undefined || key !== undefined) return { certificate, key, ca };
  }
  return { certificate: undefined, key: undefined, ca: await read('ca.crt') };
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return (await readBoundedFile(file, MAX_PEM_FILE_BYTES)).toString('utf8');
  } catch (thrown) {
    if (thrown instanceof FileReadError && thrown.errno === 'ENOENT') return undefined;
    throw thrown;
  }
}

const GENERATE = 'run certs generate';
const ROTATE = 'rotate the CA: certs rotate-ca prepare';

function remedyFor({ code, severity, evidence }: Finding, managedBy: string | undefined): string {
  const reissue = managedBy === undefined ? GENERATE : `renew it with ${managedBy}, or ${GENERATE} --overwrite-foreign`;
  switch (code) {
    case 'ca-unusable':
      return 'store ca.crt and ca.key of the same CA, or delete the Secret and run certs generate';
    case 'ca-expired':
      return severity === 'error' ? ROTATE : 'remove it from the trusted CAs';
    case 'ca-expires-soon':
      return ROTATE;
    case 'rotation':
      return evidence.includes('prepare done') ? 'continue with certs rotate-ca switch' : 'continue with certs rotate-ca finish';
    default:
      return reissue;
  }
}
