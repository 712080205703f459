/**
 * `certs rotate-ca`: replaces the CA in steps, so that peers trust each other at any time.
 *
 *   prepare   creates the next CA and adds it to the trusted CAs of every Secret
 *   switch    reissues all certificates from the next CA; the previous CA stays trusted
 *   finish    removes the previous CA from the trusted CAs
 *   abort     undoes prepare
 *
 * Every step is idempotent, so an interrupted one is repeated, and checks that the step before it is complete.
 */

import type { StoredSecret } from '../shared/kubernetes/secrets.ts';
import { type Certificate, certificatesOf } from '../shared/tls/certificate.ts';
import { bundleOf, CA_KEYS, type CaContent, caName, newAuthority, pemOf } from './authority.ts';
import { ForeignSecretError, RotationStepError, SecretContentionError } from './errors.ts';
import { isIssuedBy } from './findings.ts';
import type { RotateFlags } from './flags.ts';
import {
  type CertsRun,
  caValidity,
  type Issuing,
  isForeignSecret,
  issueAll,
  judgeStored,
  lackingIn,
  MAX_ATTEMPTS,
  readCa,
  withIssuing,
} from './generate.ts';
import { type Probe, probe } from './probe.ts';

export type RotationStep = 'prepare' | 'switch' | 'finish' | 'abort';

type StoredCa = CaContent & { readonly stored: StoredSecret };

type Values = Readonly<Record<string, string | undefined>>;

/** Throws a ProgramError, or the signal's reason. */
export async function rotateCa(step: RotationStep, flags: RotateFlags, run: CertsRun): Promise<void> {
  await withIssuing(flags, run, async (issuing) => {
    await refuseForeign(issuing);
    await changeCa(issuing, (ca) => STEPS[step](ca, issuing, flags.etcdEndpoint));
    // An expired CA cannot issue, and must not keep the next one from being prepared.
    await issueAll({ ...issuing, onlyTrust: step === 'prepare' || step === 'abort' });
    run.log.info({ step, ...(await summary(issuing)) }, DONE[step]);
  });
}

const DONE: Readonly<Record<RotationStep, string>> = {
  prepare: 'all Secrets trust the next CA; restart etcd and let the other clusters trust it, then run certs rotate-ca switch',
  switch: 'all certificates are issued by the new CA; wait until all clients use them, then run certs rotate-ca finish',
  finish: 'rotation complete: the Secrets trust the new CA only; restart etcd',
  abort: 'next CA removed: the Secrets trust the current CA only',
};

/** New values of the CA Secret; undefined where it needs no change. Throws RotationStepError. */
const STEPS: Readonly<
  Record<RotationStep, (ca: StoredCa, issuing: Issuing, endpoints: readonly string[]) => Promise<Values | undefined>>
> = {
  prepare: async ({ rotation }, issuing) => {
    if (rotation === 'switched')
      throw new RotationStepError('the previous rotation is not finished; run certs rotate-ca finish first');
    if (rotation === 'prepared') return undefined;
    return newAuthority(caValidity(issuing), [CA_KEYS.nextCertificate, CA_KEYS.nextKey]);
  },
  switch: async ({ stored: { data }, ...ca }, issuing, endpoints) => {
    if (ca.rotation === 'switched') return undefined;
    const { next } = ca;
    if (next === undefined) throw new RotationStepError('there is no next CA; run certs rotate-ca prepare first');
    await requireTrust(ca, issuing);
    const asked = { shown: next, trusted: [ca.current, next] };
    await requireReady(endpoints, asked, issuing, 'restart etcd, or add the next CA to its trusted CAs');
    const { nextCertificate, nextKey } = CA_KEYS;
    return {
      [CA_KEYS.certificate]: data[nextCertificate],
      [CA_KEYS.key]: data[nextKey],
      [CA_KEYS.nextCertificate]: undefined,
      [CA_KEYS.nextKey]: undefined,
      [CA_KEYS.previousCertificate]: pemOf(ca.current.anchors),
    };
  },
  finish: async (ca, issuing, endpoints) => {
    if (ca.rotation === 'prepared')
      throw new RotationStepError('the next CA is not in use yet; run certs rotate-ca switch first');
    if (ca.rotation === 'none') return undefined;
    await requireIssued(ca, issuing);
    const asked = { shown: ca.current, trusted: [ca.current] };
    await requireReady(
      endpoints,
      asked,
      issuing,
      'etcd must serve a certificate of the new CA and trust it; check that its mounted Secret is up to date',
    );
    return { [CA_KEYS.previousCertificate]: undefined };
  },
  abort: async ({ rotation }) => {
    if (rotation === 'switched')
      throw new RotationStepError('the new CA is already in use and cannot be dropped; run certs rotate-ca finish');
    if (rotation === 'none') return undefined;
    return { [CA_KEYS.nextCertificate]: undefined, [CA_KEYS.nextKey]: undefined };
  },
};

/** Fails before anything is changed: the other manager would undo the rotation, or not follow it. */
async function refuseForeign(issuing: Issuing): Promise<void> {
  const { secrets, flags } = issuing;
  if (flags.overwriteForeign) return;
  const { stored: own, ...ca } = await readCa(issuing);
  const foreign: string[] = own.manager === undefined ? [] : [`${own.fullName} (${own.manager})`];
  for (const profile of issuing.profiles) {
    const stored = await secrets.read(profile.secretName);
    if (stored === undefined || !isForeignSecret(stored, judgeStored(stored, ca, profile, issuing), ca)) continue;
    foreign.push(`${stored.fullName} (${stored.manager ?? 'issued by another CA'})`);
  }
  if (foreign.length === 0) return;
  const remedy = 'rotate the CA there or set --overwrite-foreign; nothing was changed';
  throw new ForeignSecretError(`Secrets are managed elsewhere: ${foreign.join(', ')}; ${remedy}`);
}

/** Updates the CA Secret by `step`. */
async function changeCa(issuing: Issuing, step: (ca: StoredCa) => Promise<Values | undefined>): Promise<void> {
  const { secrets, log } = issuing;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const ca = await readCa(issuing);
    const values = await step(ca);
    if (values === undefined || (await secrets.replace(ca.stored, values))) return;
    log.info({ secret: ca.stored.fullName }, 'the Secret was changed by another writer; reading it again');
  }
  throw new SecretContentionError(`another writer changed the CA Secret ${MAX_ATTEMPTS} times in a row; run this again`);
}

/** Certificates of a Secret, as far as they can be parsed. */
interface Held {
  readonly leaf: Certificate | undefined;
  readonly trusted: readonly Certificate[];
}

async function requireTrust(ca: CaContent, issuing: Issuing): Promise<void> {
  const wanted = bundleOf(ca, []);
  const behind = await fullNamesWhere(issuing, ({ trusted }) => lackingIn(trusted, wanted).length > 0);
  refuseIfAny(behind, 'do not trust the next CA; run certs rotate-ca prepare');
}

async function requireIssued({ current }: CaContent, issuing: Issuing): Promise<void> {
  const behind = await fullNamesWhere(issuing, ({ leaf }) => leaf === undefined || !isIssuedBy(leaf, current.certificate));
  refuseIfAny(behind, 'have no certificate of the new CA; run certs rotate-ca switch');
}

async function fullNamesWhere({ secrets, profiles }: Issuing, isBehind: (held: Held) => boolean): Promise<readonly string[]> {
  const behind: string[] = [];
  for (const { secretName } of profiles) {
    const { 'tls.crt': own = '', 'ca.crt': trusted = '' } = (await secrets.read(secretName))?.data ?? {};
    if (isBehind({ leaf: readable(own)[0], trusted: readable(trusted) })) behind.push(secrets.fullName(secretName));
  }
  return behind;
}

function readable(pem: string): readonly Certificate[] {
  try {
    return certificatesOf(pem);
  } catch {
    return [];
  }
}

function refuseIfAny(behind: readonly string[], problem: string): void {
  if (behind.length > 0) throw new RotationStepError(`${behind.join(', ')} ${problem}; nothing was changed`);
}

async function requireReady(
  endpoints: readonly string[],
  asked: Pick<Probe, 'shown' | 'trusted'>,
  { clock, signal }: Issuing,
  remedy: string,
): Promise<void> {
  const answers = endpoints.map((endpoint) => probe({ endpoint, ...asked, nowMs: clock.nowMs(), signal }));
  const problems = (await Promise.all(answers)).filter((problem) => problem !== undefined);
  if (problems.length > 0) throw new RotationStepError(`${problems.join('; ')}: ${remedy}; nothing was changed`);
}

async function summary(issuing: Issuing): Promise<object> {
  const { rotation, current, next, previous } = await readCa(issuing);
  return {
    rotation,
    signs: caName(current.certificate),
    ...(next === undefined ? {} : { next: caName(next.certificate) }),
    ...(previous.length === 0 ? {} : { previous: previous.map(caName) }),
  };
}
