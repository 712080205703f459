/** Faults of certificates. */
import { type LeafOptions, leafOf, newAuthority, type Pem } from '../issued.ts';
import { core, type Fault } from './fault.ts';

const SERVER = 'clustermesh-apiserver-server-cert';
const ADMIN = 'clustermesh-apiserver-admin-cert';

/** A certificate of the CA of the mesh in place of the one in `secret`. */
function reissued(title: string, secret: string, options: LeafOptions, line: string, evidence: RegExp, remedy: RegExp): Fault {
  return {
    title,
    async plant(p) {
      const ca = await p.mesh.entries('west', 'cilium-ca');
      await p.secret('west', secret, leafOf(ca ?? {}, p.mesh.namespace, options));
    },
    lines: [line],
    evidence,
    remedy,
    touches: [secret, 'certificate names'],
  };
}

const DAY_MS = 86_400_000;

export const CERTIFICATE_FAULTS: readonly Fault[] = [
  {
    title: 'a certificate Secret is missing',
    plant: (p) => p.delete('west', core(p, 'secrets', ADMIN)),
    lines: [`error certificate-secret: west: Secret NS/${ADMIN}`],
    evidence: /does not exist/,
    remedy: /certs generate .*--cluster-name=west/,
    touches: [ADMIN],
  },
  {
    title: 'a key is not that of its certificate',
    async plant(p) {
      const other = await p.mesh.entries('west', SERVER);
      await p.secret('west', ADMIN, { 'tls.key': other?.['tls.key'] ?? '' });
    },
    lines: [`error certificate-content: west: Secret NS/${ADMIN}`],
    evidence: /tls\.key does not match/,
    remedy: /certs generate/,
    touches: [ADMIN],
  },
  {
    title: 'a certificate is not of the CA beside it',
    plant: (p) => p.secret('west', 'clustermesh-apiserver-local-cert', { 'ca.crt': newAuthority()['ca.crt'] ?? '' }),
    lines: ['error certificate-chain: west: Secret NS/clustermesh-apiserver-local-cert'],
    evidence: /not in ca\.crt/,
    remedy: /certs generate/,
    touches: ['local-cert'],
  },
  {
    title: 'a cluster has another CA',
    async plant(p) {
      for (const [name, values] of Object.entries(otherMesh(p.mesh.namespace))) await p.secret('west', name, values);
    },
    lines: ['error mutual-trust: east and west'],
    evidence: /east does not trust the server certificate of west.*CAs east: ([0-9A-F]{2}:){7}.*west: ([0-9A-F]{2}:){7}/,
    remedy: /caBundle|extra-ca-file/,
    touches: [SERVER, ADMIN, 'local-cert'],
  },
  reissued(
    'a client certificate is of another user',
    ADMIN,
    { commonName: 'admin-oslo', usage: 'client' },
    `error certificate-user: west: Secret NS/${ADMIN}`,
    /admin-oslo, not admin-west/,
    /certs generate/,
  ),
  reissued(
    'the server certificate lacks the name of the mesh',
    SERVER,
    { usage: 'server', dnsNames: ['SERVICE'] },
    `error server-names: west: Secret NS/${SERVER}`,
    /west\.mesh\.cilium\.io/,
    /certs generate/,
  ),
  reissued(
    'the server certificate is for clients',
    SERVER,
    { usage: 'client' },
    `error certificate-usages: west: Secret NS/${SERVER}`,
    /TLS server authentication/,
    /certs generate/,
  ),
  reissued(
    'a certificate has expired',
    SERVER,
    { usage: 'server', fromMs: -20 * DAY_MS, untilMs: -DAY_MS },
    `error certificate-expired: west: Secret NS/${SERVER}`,
    /expired \d{4}-/,
    /certs generate/,
  ),
  reissued(
    'a certificate expires within 30 days',
    SERVER,
    { usage: 'server', fromMs: -DAY_MS, untilMs: 29 * DAY_MS },
    `warning certificate-expires-soon: west: Secret NS/${SERVER}`,
    /2[89] days/,
    /certs generate/,
  ),
  reissued(
    'a certificate is not valid yet',
    SERVER,
    { usage: 'server', fromMs: DAY_MS, untilMs: 90 * DAY_MS },
    `error certificate-not-yet-valid: west: Secret NS/${SERVER}`,
    /not valid before/,
    /certs generate/,
  ),
];

/** All certificates of a cluster, of a CA of its own. */
function otherMesh(namespace: string): Readonly<Record<string, Pem>> {
  const ca = newAuthority();
  const issued = (options: LeafOptions) => ({ ...leafOf(ca, namespace, options), 'ca.crt': ca['ca.crt'] ?? '' });
  return {
    'cilium-ca': ca,
    [SERVER]: issued({ usage: 'server' }),
    [ADMIN]: issued({ usage: 'client', commonName: 'admin-west' }),
    'clustermesh-apiserver-local-cert': issued({ usage: 'client', commonName: 'local-west' }),
    'clustermesh-apiserver-remote-cert': issued({ usage: 'client', commonName: 'remote' }),
  };
}
