/**
 * What is wrong with a certificate, its key and its trusted CAs: a pure function of their PEM texts, the profile and the time.
 *
 * `certs generate` decides by it what to reissue, `certs check` prints it.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { asError } from '../shared/errors.ts';
import { addressKey } from '../shared/tls/address.ts';
import { type Certificate, certificatesOf } from '../shared/tls/certificate.ts';
import { chainOf } from '../shared/tls/chain.ts';
import { nameVerdict } from '../shared/tls/server-name.ts';
import { allowsUsages } from '../shared/tls/usage.ts';
import { caName, isSame } from './authority.ts';
import { EXTENDED_USAGES, type Usage } from './issue.ts';
import type { Profile } from './profiles.ts';

export type FindingCode =
  | 'secret-missing'
  | 'certificate-missing'
  | 'certificate-malformed'
  | 'key-missing'
  | 'key-malformed'
  | 'key-mismatch'
  | 'ca-missing'
  | 'ca-malformed'
  | 'not-signed'
  | 'other-issuer'
  | 'common-name'
  | 'san-missing'
  | 'usage-missing'
  | 'not-yet-valid'
  | 'expired'
  | 'expires-soon'
  | 'ca-expired'
  | 'ca-expires-soon'
  | 'ca-differs'
  | 'ca-unusable'
  | 'rotation';

export interface Finding {
  readonly code: FindingCode;
  /** Errors break connections now; warnings will, or hint at a rotation in progress. */
  readonly severity: 'error' | 'warning';
  readonly evidence: string;
}

/** PEM. */
export interface Material {
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly ca: string | undefined;
}

export interface Judgement {
  readonly findings: readonly Finding[];
  /** Undefined and empty where they cannot be parsed. */
  readonly leaf: Certificate | undefined;
  readonly trusted: readonly Certificate[];
}

export interface JudgementRules {
  /** Wall clock. */
  readonly nowMs: number;
  /** Time before expiry at which a certificate is due for renewal; 0 for a third of its validity. */
  readonly renewBeforeMs: number;
}

/** Findings that a new certificate cures. Those about `ca.crt` alone need no new certificate. */
const CURED_BY_ISSUING: readonly FindingCode[] = [
  'certificate-missing',
  'certificate-malformed',
  'key-missing',
  'key-malformed',
  'key-mismatch',
  'other-issuer',
  'common-name',
  'san-missing',
  'usage-missing',
  'not-yet-valid',
  'expired',
  'expires-soon',
];

export function isCuredByIssuing({ code }: Finding): boolean {
  return CURED_BY_ISSUING.includes(code);
}

/** Judges a certificate by itself, without the CA Secret. */
export function judge(material: Material, profile: Profile, rules: JudgementRules): Judgement {
  const findings: Finding[] = [];
  const tell = (code: FindingCode, evidence: string, severity: Finding['severity'] = 'error') =>
    void findings.push({ code, severity, evidence });
  const chain = read('certificate', material.certificate, tell);
  const key = readKey(material.key, tell);
  const trusted = read('ca', material.ca, tell);
  const [leaf, ...intermediates] = chain;
  if (leaf !== undefined) {
    if (key !== undefined && !leaf.x509.checkPrivateKey(key)) tell('key-mismatch', 'tls.key does not match tls.crt');
    if (trusted.length > 0 && chainOf(leaf, intermediates, trusted) === undefined)
      tell('not-signed', `issued by ${issuerOf(leaf)}, which is not in ca.crt; ca.crt has ${trusted.map(caName).join(', ')}`);
    findings.push(...nameFindings(leaf, profile), ...timeFindings(leaf, rules));
    if (!allowsUsages(leaf, EXTENDED_USAGES[profile.usage]))
      tell('usage-missing', `its key usages do not allow TLS ${USAGE_WORDS[profile.usage]} authentication`);
  }
  for (const each of [...intermediates, ...trusted].filter(({ notAfterMs }) => notAfterMs < rules.nowMs)) {
    const isInUse = intermediates.includes(each) || chain.some((below) => isIssuedBy(below, each));
    tell('ca-expired', `${caName(each)} expired ${day(each.notAfterMs)}`, isInUse ? 'error' : 'warning');
  }
  return { findings, leaf, trusted };
}

/** Whether `issuer` signed `certificate`. */
export function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  return chainOf(certificate, [], [issuer]) !== undefined && !isSame(certificate, issuer);
}

export function expiryFinding(certificate: Certificate, { nowMs, renewBeforeMs }: JudgementRules): Finding | undefined {
  const { notBeforeMs, notAfterMs } = certificate;
  const until = `valid until ${day(notAfterMs)}`;
  if (nowMs > notAfterMs) return { code: 'expired', severity: 'error', evidence: `expired ${day(notAfterMs)}` };
  const leftMs = notAfterMs - nowMs;
  const thresholdMs = renewBeforeMs > 0 ? renewBeforeMs : (notAfterMs - notBeforeMs) / 3;
  if (leftMs > thresholdMs) return undefined;
  const how = renewBeforeMs > 0 ? 'less than --renew-before' : 'less than a third of its validity';
  return { code: 'expires-soon', severity: 'warning', evidence: `${until}, ${Math.floor(leftMs / DAY_MS)} days: ${how}` };
}

/** A day, for remaining lifetimes. */
const DAY_MS = 24 * 3_600_000;

/** `2026-01-31 12:00 UTC` */
export function day(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

type Tell = (code: FindingCode, evidence: string) => void;

function read(what: 'certificate' | 'ca', text: string | undefined, tell: Tell): readonly Certificate[] {
  const key = what === 'ca' ? 'ca.crt' : 'tls.crt';
  if (text === undefined || text.trim() === '') {
    tell(`${what}-missing`, `${key} is missing`);
    return [];
  }
  try {
    return certificatesOf(text);
  } catch (thrown) {
    tell(`${what}-malformed`, `${key}: ${asError(thrown).message}`);
    return [];
  }
}

/** The parser's message is dropped: it may quote its input. */
function readKey(text: string | undefined, tell: Tell): KeyObject | undefined {
  if (text === undefined || text.trim() === '') {
    tell('key-missing', 'tls.key is missing');
    return undefined;
  }
  try {
    return createPrivateKey(text);
  } catch {
    tell('key-malformed', 'tls.key is not an unencrypted private key');
    return undefined;
  }
}

const USAGE_WORDS: Readonly<Record<Usage, string>> = { server: 'server', client: 'client', peer: 'server and client' };

/** Servers check the common name of a certificate, and clients its SANs. */
function nameFindings(leaf: Certificate, profile: Profile): readonly Finding[] {
  return [
    ...(profile.usage === 'server' ? [] : commonNameFindings(leaf, profile)),
    ...(profile.usage === 'client' ? [] : alternativeNameFindings(leaf, profile)),
  ];
}

function commonNameFindings(leaf: Certificate, { commonName, alsoNamed, usage }: Profile): readonly Finding[] {
  const wanted = [commonName, ...alsoNamed];
  if (leaf.commonName !== undefined && wanted.includes(leaf.commonName)) return [];
  const role = usage === 'client' ? ' (the etcd user)' : '';
  const evidence = `its common name${role} is ${leaf.commonName ?? 'missing'}, not ${wanted.join(' or ')}`;
  return [{ code: 'common-name', severity: 'error', evidence }];
}

function alternativeNameFindings(leaf: Certificate, profile: Profile): readonly Finding[] {
  const missing = [
    ...profile.dnsNames.filter((name) => !hasName(leaf, name)),
    ...profile.ipAddresses.filter((address) => !leaf.addresses.includes(addressKey(address))),
  ];
  if (missing.length === 0) return [];
  const offered = leaf.alternativeNames.slice(0, 10).join(', ') || 'none';
  return [{ code: 'san-missing', severity: 'error', evidence: `SANs missing: ${missing.join(', ')}; it has ${offered}` }];
}

function hasName(leaf: Certificate, name: string): boolean {
  if (name.startsWith('*.')) return leaf.dnsNames.some((each) => each.toLowerCase() === name.toLowerCase());
  return leaf.dnsNames.length > 0 && nameVerdict(leaf, name) === 'covered';
}

function timeFindings(leaf: Certificate, rules: JudgementRules): readonly Finding[] {
  if (leaf.notBeforeMs > rules.nowMs)
    return [{ code: 'not-yet-valid', severity: 'error', evidence: `not valid before ${day(leaf.notBeforeMs)}` }];
  const expiry = expiryFinding(leaf, rules);
  return expiry === undefined ? [] : [expiry];
}

function issuerOf({ issuer, authorityKeyId }: Certificate): string {
  return authorityKeyId === undefined ? issuer : `${issuer} (key ${authorityKeyId.slice(0, 27)}…)`;
}
