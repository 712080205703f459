/** Certificates with a fault, issued by the CA of the mesh or by another one. */
import { createPrivateKey } from 'node:crypto';
import { issueAuthority, issueLeaf, type Usage } from '../../../src/certs/issue.ts';
import { certificateOf } from '../../../src/shared/tls/certificate.ts';

const HOUR_MS = 3_600_000;

export interface LeafOptions {
  readonly usage: Usage;
  readonly commonName?: string;
  /** `SERVICE` stands for the name of the Service; all that are needed where absent. */
  readonly dnsNames?: readonly string[];
  /** Relative to now. */
  readonly fromMs?: number;
  readonly untilMs?: number;
}

/** Values of a Secret. */
export type Pem = Readonly<Record<string, string>>;

/** `ca.crt` and `ca.key` of a new CA. */
export function newAuthority(): Pem {
  const nowMs = Date.now();
  const validity = { notBeforeMs: nowMs - HOUR_MS, notAfterMs: nowMs + 10_000 * HOUR_MS };
  const { certificate, key } = issueAuthority({ commonName: 'another CA', ...validity });
  return { 'ca.crt': certificate, 'ca.key': key };
}

/** `tls.crt` and `tls.key`, issued by `ca`. */
export function leafOf(ca: Pem, namespace: string, { usage, fromMs, untilMs, ...options }: LeafOptions): Pem {
  const service = `clustermesh-apiserver.${namespace}.svc`;
  const { commonName = service, dnsNames = ['SERVICE', '*.mesh.cilium.io'] } = options;
  const nowMs = Date.now();
  const request = {
    commonName,
    dnsNames: dnsNames.map((name) => (name === 'SERVICE' ? service : name)),
    ipAddresses: ['127.0.0.1', '::1'],
    usage,
    notBeforeMs: nowMs + (fromMs ?? -HOUR_MS),
    notAfterMs: nowMs + (untilMs ?? 9_000 * HOUR_MS),
  };
  const certificate = certificateOf(Buffer.from(ca['ca.crt'] ?? ''));
  const issued = issueLeaf(request, { certificate, key: createPrivateKey(ca['ca.key'] ?? '') });
  return { 'tls.crt': issued.certificate, 'tls.key': issued.key };
}
