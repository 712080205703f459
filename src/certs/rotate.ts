/**
 * `certs rotate-ca`: another CA in the place of the present one, without a moment in which two sides do not trust each other.
 *
 *   prepare   the next CA is created, and every Secret trusts it besides the present one
 *   switch    the next CA signs: every certificate is issued again; the previous CA is still trusted
 *   finish    the previous CA is no longer trusted
 *   abort     instead of switch: the next CA is dropped
 *
 * Each step may be repeated, after an interruption too, and refuses to begin before the one ahead of it is complete.
 */
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
  profileOptions,
  readCa,
  withIssuing,
} from './generate.ts';
import { type Probe, probe } from './probe.ts';
import { profilesOf } from './profiles.ts';
import type { StoredSecret } from './secrets.ts';

export type RotationStep = 'prepare' | 'switch' | 'finish' | 'abort';

type StoredCa = CaContent & { readonly stored: StoredSecret };

type Values = Readonly<Record<string, string | undefined>>;

/** Throws a ProgramError, or the signal's reason. */
export async function rotateCa(step: RotationStep, flags: RotateFlags, run: CertsRun): Promise<void> {
  await withIssuing(flags, run, async (issuing) => {
    await refuseForeign(issuing);
    await changeCa(issuing, (ca) => STEPS[step](ca, issuing, flags.etcdEndpoint));
    // The present CA may have expired: then there is nothing that it could issue.
    await issueAll({ ...issuing, onlyTrust: step === 'prepare' || step === 'abort' });
    run.log.info({ step, ...(await summary(issuing)) }, DONE[step]);
  });
}

const DONE: Readonly<Record<RotationStep, string>> = {
  prepare: 'every Secret trusts the next CA; now see that every etcd and every other cluster does, then: certs rotate-ca switch',
  switch: 'every certificate is of the new CA; now see that every client uses its new one, then: certs rotate-ca finish',
  finish: 'the rotation is complete, only the new CA is trusted',
  abort: 'the next CA is dropped, only the present one is trusted',
};

/** The new values of the Secret of the CA; undefined where the step has changed it already. Throws RotationStepError. */
const STEPS: Readonly<
  Record<RotationStep, (ca: StoredCa, issuing: Issuing, endpoints: readonly string[]) => Promise<Values | undefined>>
> = {
  prepare: async ({ rotation }, issuing) => {
    if (rotation === 'switched')
      throw new RotationStepError('a rotation is under way, its step finish comes next: certs rotate-ca finish');
    if (rotation === 'prepared') return undefined;
    return newAuthority(caValidity(issuing), [CA_KEYS.nextCertificate, CA_KEYS.nextKey]);
  },
  switch: async ({ stored: { data }, ...ca }, issuing, endpoints) => {
    if (ca.rotation === 'switched') return undefined;
    const { next } = ca;
    if (next === undefined)
      throw new RotationStepError('there is no next CA; its step prepare comes first: certs rotate-ca prepare');
    await requireTrust(ca, issuing);
    const asked = { shown: next, trusted: [ca.current, next] };
    await requireReady(endpoints, asked, issuing, 'restart it, or add the next CA to what it trusts');
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
      throw new RotationStepError('the next CA signs nothing yet; its step switch comes first: certs rotate-ca switch');
    if (ca.rotation === 'none') return undefined;
    await requireIssued(ca, issuing);
    const asked = { shown: ca.current, trusted: [ca.current] };
    await requireReady(endpoints, asked, issuing, 'it has to show a certificate of the new CA: see that it reads its new files');
    return { [CA_KEYS.previousCertificate]: undefined };
  },
  abort: async ({ rotation }) => {
    if (rotation === 'switched')
      throw new RotationStepError(
        'the new CA signs already; go on with certs rotate-ca finish, or begin another rotation after it',
      );
    if (rotation === 'none') return undefined;
    return { [CA_KEYS.nextCertificate]: undefined, [CA_KEYS.nextKey]: undefined };
  },
};

/** Nothing is begun that another manager of a Secret would undo, or that it would have to take part in. */
async function refuseForeign(issuing: Issuing): Promise<void> {
  const { secrets, flags } = issuing;
  if (flags.overwriteForeign) return;
  const { stored: own, ...ca } = await readCa(issuing);
  const foreign: string[] = own.manager === undefined ? [] : [`${own.fullName} (${own.manager})`];
  for (const profile of profilesOf(profileOptions(flags))) {
    const stored = await secrets.read(profile.secretName);
    if (stored === undefined || !isForeignSecret(stored, judgeStored(stored, ca, profile, issuing), ca)) continue;
    foreign.push(`${stored.fullName} (${stored.manager ?? 'of another CA'})`);
  }
  if (foreign.length === 0) return;
  const remedy = 'exchange the CA there, or set --overwrite-foreign; nothing was changed';
  throw new ForeignSecretError(`Secrets are managed elsewhere: ${foreign.join(', ')}; ${remedy}`);
}

/** Writes what `step` says into the Secret of the CA, as it was read. */
async function changeCa(issuing: Issuing, step: (ca: StoredCa) => Promise<Values | undefined>): Promise<void> {
  const { secrets, log } = issuing;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const ca = await readCa(issuing);
    const values = await step(ca);
    if (values === undefined || (await secrets.replace(ca.stored, values))) return;
    log.info({ secret: ca.stored.fullName }, 'another writer has changed the Secret, reading it again');
  }
  throw new SecretContentionError(`the Secret of the CA was changed by another writer ${MAX_ATTEMPTS} times; run this again`);
}

/** What a Secret holds, as far as it can be read. */
interface Held {
  readonly leaf: Certificate | undefined;
  readonly trusted: readonly Certificate[];
}

async function requireTrust(ca: CaContent, issuing: Issuing): Promise<void> {
  const wanted = bundleOf(ca, []);
  const behind = await fullNamesWhere(issuing, ({ trusted }) => lackingIn(trusted, wanted).length > 0);
  refuseIfAny(behind, 'do not trust the next CA yet: certs rotate-ca prepare');
}

async function requireIssued({ current }: CaContent, issuing: Issuing): Promise<void> {
  const behind = await fullNamesWhere(issuing, ({ leaf }) => leaf === undefined || !isIssuedBy(leaf, current.certificate));
  refuseIfAny(behind, 'have no certificate of the new CA yet: certs rotate-ca switch');
}

/** A Secret that does not exist holds nothing. */
async function fullNamesWhere({ secrets, flags }: Issuing, isBehind: (held: Held) => boolean): Promise<readonly string[]> {
  const behind: string[] = [];
  for (const { secretName } of profilesOf(profileOptions(flags))) {
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
