/**
 * `certs generate`: creates the CA and the certificate Secrets, and reissues certificates that expire or do not match.
 *
 * Concurrent runs do not undo each other: an update has a resourceVersion precondition, and the CA is read after the Secret. A
 * run with an outdated CA has therefore read an outdated Secret as well, and its update conflicts.
 */

import { asError } from '../shared/errors.ts';
import { readBoundedFile } from '../shared/files/bounded-file.ts';
import { FlagError } from '../shared/flags/error.ts';
import { openFlaggedConnection } from '../shared/kubernetes/connection/flagged-connection.ts';
import { KubeForbiddenError } from '../shared/kubernetes/errors.ts';
import { type SecretData, Secrets, type StoredSecret } from '../shared/kubernetes/secrets.ts';
import { checkVersion } from '../shared/kubernetes/version.ts';
import { MAX_PEM_FILE_BYTES } from '../shared/limits.ts';
import type { Logger } from '../shared/process/log.ts';
import type { Clock } from '../shared/time/clock.ts';
import { type Certificate, certificateOf, certificatesOf } from '../shared/tls/certificate.ts';
import { chainOf } from '../shared/tls/chain.ts';
import { bundleOf, CA_KEYS, type CaContent, caContentOf, caName, isSame, newAuthority, pemOf } from './authority.ts';
import { CaSecretError, ForeignSecretError, SecretContentionError } from './errors.ts';
import { day, type Finding, isCuredByIssuing, isIssuedBy, type Judgement, judge } from './findings.ts';
import type { CheckFlags, GenerateFlags, IssuingFlags } from './flags.ts';
import { BACKDATE_MS, issueLeaf, type Validity } from './issue.ts';
import { PEER_SECRET, type Profile, profilesOf } from './profiles.ts';

/** Attempts to update a Secret that another writer keeps changing. */
export const MAX_ATTEMPTS = 5;

export interface CertsRun {
  readonly log: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface Issuing extends CertsRun {
  readonly flags: IssuingFlags;
  readonly secrets: Secrets;
  readonly extra: readonly Certificate[];
  readonly profiles: readonly Profile[];
  /** Existing certificates are not reissued; only `ca.crt` is updated. */
  readonly onlyTrust?: boolean;
}

/** Throws a ProgramError, or the signal's reason. */
export async function generate(flags: GenerateFlags, run: CertsRun): Promise<void> {
  await withIssuing(flags, run, async (issuing) => {
    await ensureCa(issuing, flags.caGenerate);
    await issueAll(issuing);
  });
}

/** Runs `task` over a connection that is closed afterwards. */
export async function withIssuing(
  flags: IssuingFlags & { readonly peer?: boolean },
  run: CertsRun,
  task: (issuing: Issuing) => Promise<void>,
): Promise<void> {
  if (flags.renewBeforeMs >= flags.certValidityDurationMs)
    throw new FlagError(
      'flag --renew-before: every run would renew all certificates; allowed: less than --cert-validity-duration',
    );
  const extra = await extraAuthorities(flags.extraCaFile);
  await withSecrets(flags, run, async (secrets) => {
    const hasPeers = flags.peer === true || (await hasPeerSecret(secrets));
    await task({ ...run, flags, secrets, extra, profiles: profilesOf(profileOptions(flags, hasPeers)) });
  });
}

export async function withSecrets<T>(
  flags: IssuingFlags | CheckFlags,
  run: CertsRun,
  task: (secrets: Secrets) => Promise<T>,
): Promise<T> {
  const connection = await openFlaggedConnection(flags, run);
  try {
    await checkVersion({ connection, ...run });
    return await task(new Secrets(connection, flags.namespace, run.signal));
  } finally {
    await connection.close();
  }
}

/** The certificates of `--extra-ca-file`. Throws FileReadError or FlagError. */
export async function extraAuthorities(file: string): Promise<readonly Certificate[]> {
  if (file === '') return [];
  const text = (await readBoundedFile(file, MAX_PEM_FILE_BYTES)).toString('utf8');
  try {
    return certificatesOf(text);
  } catch (thrown) {
    throw new FlagError(`flag --extra-ca-file: ${file}: ${asError(thrown).message}`, { cause: thrown });
  }
}

/** Throws CaSecretError where there is no usable CA, and a KubeError. */
export async function readCa({
  secrets,
  flags,
}: Pick<Issuing, 'secrets' | 'flags'>): Promise<CaContent & { stored: StoredSecret }> {
  const stored = await secrets.read(flags.caSecret);
  if (stored !== undefined) return { ...caContentOf(stored), stored };
  throw new CaSecretError(
    `Secret ${secrets.fullName(flags.caSecret)} does not exist; set --ca-secret, or let certs generate create it (--ca-generate)`,
  );
}

/** Validity and name of a CA created now. */
export function caValidity({ clock, flags }: Pick<Issuing, 'clock' | 'flags'>): Validity & { readonly commonName: string } {
  const nowMs = clock.nowMs();
  return {
    commonName: flags.caCommonName,
    notBeforeMs: nowMs - BACKDATE_MS,
    notAfterMs: nowMs + flags.caValidityDurationMs,
  };
}

async function ensureCa(issuing: Issuing, mayCreate: boolean): Promise<void> {
  const { secrets, flags, log } = issuing;
  if (mayCreate && (await secrets.read(flags.caSecret)) === undefined) {
    const authority = newAuthority(caValidity(issuing), [CA_KEYS.certificate, CA_KEYS.key]);
    // A concurrent run may have created the CA first; then that one is used.
    if (await secrets.create(flags.caSecret, 'Opaque', authority))
      log.info({ secret: secrets.fullName(flags.caSecret) }, 'created the CA');
  }
  await readCa(issuing);
}

/**
 * Brings all Secrets in line with the current CA. Throws ForeignSecretError, after all others are done, for Secrets that
 * need a change but are managed by another program.
 */
export async function issueAll(issuing: Issuing): Promise<void> {
  const complaints: string[] = [];
  let written = 0;
  for (const profile of issuing.profiles) {
    const outcome = await bringUpToDate(profile, issuing);
    if (outcome === 'written') written += 1;
    else if (outcome !== 'unchanged') complaints.push(outcome.complaint);
  }
  if (complaints.length > 0) throw new ForeignSecretError(complaints.join('; '));
  if (written === 0) issuing.log.info('all certificates are valid and match; nothing was changed');
}

/** False, too, where this user may not read the Secret: Roles of a single etcd do not have it. */
export async function hasPeerSecret(secrets: Secrets): Promise<boolean> {
  try {
    return (await secrets.read(PEER_SECRET)) !== undefined;
  } catch (thrown) {
    if (thrown instanceof KubeForbiddenError) return false;
    throw thrown;
  }
}

export function profileOptions(flags: IssuingFlags | CheckFlags, hasPeers: boolean) {
  const { namespace, clusterName, authMode, extraDnsNames, extraIpAddresses, clusterDomain } = flags;
  const shared = { namespace, clusterName, extraDnsNames, extraIpAddresses, clusterDomain, hasPeers };
  return { ...shared, authMode: authMode === 'any' ? undefined : authMode };
}

type Outcome = 'written' | 'unchanged' | { readonly complaint: string };

async function bringUpToDate(profile: Profile, issuing: Issuing): Promise<Outcome> {
  const { secrets, log } = issuing;
  const secret = secrets.fullName(profile.secretName);
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const stored = await secrets.read(profile.secretName);
    const ca = await readCa(issuing);
    const plan = planFor(stored, ca, profile, issuing);
    if (plan.isForeign) return foreignOutcome(secret, stored, plan, issuing);
    if (plan.change === 'none') return 'unchanged';
    if (stored?.object.immutable === true)
      return { complaint: `Secret ${secret} is immutable (${told(plan.findings)}); delete it and run this again` };
    const data = plan.change === 'bundle' ? { 'ca.crt': plan.bundle } : issued(profile, ca, plan.bundle, issuing);
    const isWritten =
      stored === undefined
        ? await secrets.create(profile.secretName, 'kubernetes.io/tls', data)
        : await secrets.replace(stored, data);
    if (isWritten) {
      const reasons = plan.findings.map(({ code }) => code);
      log.info({ secret, reasons, ...describe(data) }, CHANGES[plan.change]);
      return 'written';
    }
    log.info({ secret }, 'the Secret was changed by another writer; reading it again');
  }
  throw new SecretContentionError(`Secret ${secret}: another writer changed it ${MAX_ATTEMPTS} times in a row; run this again`);
}

const CHANGES = {
  create: 'created a certificate',
  reissue: 'reissued a certificate',
  bundle: 'updated the trusted CAs of a Secret',
} as const;

interface Plan {
  readonly change: 'none' | keyof typeof CHANGES;
  readonly findings: readonly Finding[];
  /** PEM. */
  readonly bundle: string;
  readonly isForeign: boolean;
}

function planFor(stored: StoredSecret | undefined, ca: CaContent, profile: Profile, issuing: Issuing): Plan {
  const certificates = bundleOf(ca, issuing.extra);
  const bundle = pemOf(certificates);
  if (stored === undefined) return { change: 'create', findings: [], bundle, isForeign: false };
  const judgement = judgeStored(stored, ca, profile, issuing);
  const cured = issuing.onlyTrust === true ? [] : curedByIssuing(judgement, ca, issuing);
  const isForeign = !issuing.flags.overwriteForeign && isForeignSecret(stored, judgement, ca);
  const ofBundle = bundleFindings(judgement, certificates);
  if (isForeign) return { change: 'none', findings: [...judgement.findings, ...ofBundle], bundle, isForeign };
  if (cured.length > 0) return { change: 'reissue', findings: cured, bundle, isForeign };
  return { change: ofBundle.length > 0 ? 'bundle' : 'none', findings: ofBundle, bundle, isForeign };
}

function curedByIssuing(judgement: Judgement, ca: CaContent, issuing: Issuing): readonly Finding[] {
  return judgement.findings.filter((each) => isCuredByIssuing(each) && isWorthIssuing(each, judgement, ca, issuing));
}

function bundleFindings({ trusted }: Judgement, wanted: readonly Certificate[]): readonly Finding[] {
  const lacking = lackingIn(trusted, wanted);
  if (lacking.length > 0)
    return [{ code: 'ca-differs', severity: 'error', evidence: `ca.crt lacks ${lacking.map(caName).join(', ')}` }];
  if (trusted.length === wanted.length) return [];
  const more = lackingIn(wanted, trusted);
  return [{ code: 'ca-differs', severity: 'warning', evidence: `ca.crt also has ${more.map(caName).join(', ')}` }];
}

/** Those of `wanted` that `present` does not have. */
export function lackingIn(present: readonly Certificate[], wanted: readonly Certificate[]): readonly Certificate[] {
  return wanted.filter((each) => !present.some((other) => isSame(each, other)));
}

/** What is wrong with a Secret, given the CA. */
export function judgeStored(
  stored: StoredSecret,
  ca: CaContent,
  profile: Profile,
  { clock, flags }: { readonly clock: Clock; readonly flags: { readonly renewBeforeMs: number } },
): Judgement {
  const { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': trusted } = stored.data;
  const judgement = judge({ certificate, key, ca: trusted }, profile, {
    nowMs: clock.nowMs(),
    renewBeforeMs: flags.renewBeforeMs,
  });
  const { leaf } = judgement;
  if (leaf === undefined || isIssuedBy(leaf, ca.current.certificate)) return judgement;
  const evidence = `not issued by the current CA, ${caName(ca.current.certificate)}`;
  return { ...judgement, findings: [...judgement.findings, { code: 'other-issuer', severity: 'warning', evidence }] };
}

/** Renewal gains nothing where the certificate already lasts as long as its CA. */
function isWorthIssuing({ code }: Finding, { leaf }: Judgement, ca: CaContent, issuing: Issuing): boolean {
  if (code !== 'expires-soon' || leaf === undefined) return true;
  if (leafValidity(ca, issuing).notAfterMs > leaf.notAfterMs + 1_000) return true;
  issuing.log.warn(
    { ca: caName(ca.current.certificate), notAfter: day(leaf.notAfterMs) },
    'not renewed: the certificate already lasts as long as its CA; rotate the CA: certs rotate-ca prepare',
  );
  return false;
}

/** Managed by another program; or without any manager, and not issued by this CA. */
export function isForeignSecret(stored: StoredSecret, { leaf }: Judgement, ca: CaContent): boolean {
  if (stored.isOurs) return false;
  return stored.manager !== undefined || leaf === undefined || !isOfThisCa(leaf, ca);
}

function isOfThisCa(leaf: Certificate, { current, next, previous }: CaContent): boolean {
  const authorities = [current.certificate, ...current.anchors, ...(next === undefined ? [] : next.anchors), ...previous];
  return chainOf(leaf, current.intermediates, authorities) !== undefined;
}

/** A working certificate of another CA is not replaced: another party manages it. */
function foreignOutcome(secret: string, stored: StoredSecret | undefined, plan: Plan, { log }: Issuing): Outcome {
  const manager = stored?.manager ?? 'another party (no manager label, issued by another CA)';
  const isOfOtherCa = plan.findings.some(({ code }) => code === 'other-issuer');
  const problems = plan.findings.filter(({ code, severity }) => severity === 'error' && !(isOfOtherCa && code === 'ca-differs'));
  if (problems.length === 0) {
    log.info(
      { secret, manager, findings: plan.findings.map(({ code }) => code) },
      'Secret is managed elsewhere and was left unchanged',
    );
    return 'unchanged';
  }
  return {
    complaint: `Secret ${secret} is managed by ${manager}: ${told(problems)}; renew it there or set --overwrite-foreign`,
  };
}

function told(findings: readonly Finding[]): string {
  return findings.map(({ evidence }) => evidence).join(', ');
}

function leafValidity(ca: CaContent, { clock, flags }: Issuing): Validity {
  const nowMs = clock.nowMs();
  const { certificate, intermediates, anchors } = ca.current;
  const ends = [certificate, ...intermediates, ...anchors.slice(0, 1)].map(({ notAfterMs }) => notAfterMs);
  return { notBeforeMs: nowMs - BACKDATE_MS, notAfterMs: Math.min(nowMs + flags.certValidityDurationMs, ...ends) };
}

function issued(profile: Profile, ca: CaContent, bundle: string, issuing: Issuing): SecretData {
  const { commonName, dnsNames, ipAddresses, usage } = profile;
  const { current } = ca;
  const validity = leafValidity(ca, issuing);
  if (validity.notAfterMs <= issuing.clock.nowMs())
    throw new CaSecretError(
      `${caName(current.certificate)} expired ${day(validity.notAfterMs)}; replace it: certs rotate-ca prepare, switch, finish`,
    );
  const leaf = issueLeaf({ commonName, dnsNames, ipAddresses, usage, ...validity }, current);
  return { 'ca.crt': bundle, 'tls.crt': leaf.certificate + pemOf(current.intermediates), 'tls.key': leaf.key };
}

/** Log fields of a new certificate. */
function describe({ 'tls.crt': text }: SecretData): object {
  if (text === undefined) return {};
  const { commonName, serialNumber, notAfterMs, authorityKeyId } = certificateOf(Buffer.from(text));
  return { commonName, serialNumber, notAfter: day(notAfterMs), authorityKeyId };
}
