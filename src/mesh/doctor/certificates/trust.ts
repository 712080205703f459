/** Whether two clusters accept the certificates of each other. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { type Certificate, certificatesOf } from '../../../shared/tls/certificate.ts';
import { chainOf } from '../../../shared/tls/chain.ts';
import { certificatesIn } from '../../access.ts';
import { failed, passed } from '../catalogue.ts';
import type { Member, ObjectFact } from '../facts.ts';
import { joined, pairsOf } from '../subjects.ts';

const SERVER = 'clustermesh-apiserver-server-cert';
const REMOTE = 'clustermesh-apiserver-remote-cert';
/** Characters shown of a fingerprint. */
const SHOWN_FINGERPRINT = 23;

/** Both ways: the client verifies the certificate of the server, and the server that of the client. */
export function mutualTrust(members: readonly Member[]): readonly Finding[] {
  return pairsOf(members).flatMap(([one, other]) => {
    const sides = [...problemsOf(one, other), ...problemsOf(other, one)];
    const subject = joined([one.label, other.label]);
    const authorities = [one, other].map((each) => `${each.label}: ${fingerprint(each)}`);
    const evidence = `CAs ${joined(authorities)}`;
    if (sides.every((each) => each === 'unread')) return [];
    const problems = sides.filter((each) => each !== 'unread' && each !== 'trusted');
    if (problems.length === 0)
      return [passed('mutual-trust', subject, `each verifies the certificates of the other (${evidence})`)];
    return [
      failed(
        'mutual-trust',
        subject,
        `${joined(problems)} (${evidence})`,
        'share one CA, or add both CAs to the trusted CAs: tls.caBundle of the charts, or clustermesh-apiserver certs generate --extra-ca-file=FILE; then restart clustermesh-apiserver, because etcd reads its CAs at the start',
      ),
    ];
  });
}

/** Of connections from `client` to `server`. */
function problemsOf(client: Member, server: Member): readonly string[] {
  return [
    verdict(
      chainIn(server, SERVER),
      trustedBy(client, REMOTE),
      `${client.label} does not trust the server certificate of ${server.label}`,
    ),
    verdict(
      chainIn(client, REMOTE),
      trustedBy(server, SERVER),
      `${server.label} does not trust the client certificate of ${client.label}`,
    ),
  ];
}

function verdict(chain: readonly Certificate[], trusted: readonly Certificate[], problem: string): string {
  const [leaf, ...intermediates] = chain;
  if (leaf === undefined || trusted.length === 0) return 'unread';
  return chainOf(leaf, intermediates, trusted) === undefined ? problem : 'trusted';
}

function chainIn(member: Member, secret: string): readonly Certificate[] {
  return certificatesIn(objectIn(member.secrets.get(secret)), 'tls.crt');
}

/** The CAs of the Secret, and those of the bundle that replaces them where there is one. */
function trustedBy(member: Member, secret: string): readonly Certificate[] {
  const bundled = recordOf(objectIn(member.caBundle)?.data)['ca.crt'];
  return [...certificatesIn(objectIn(member.secrets.get(secret)), 'ca.crt'), ...parsed(bundled)];
}

function fingerprint(member: Member): string {
  const [authority] = [
    ...certificatesIn(objectIn(member.secrets.get('cilium-ca')), 'ca.crt'),
    ...certificatesIn(objectIn(member.secrets.get(SERVER)), 'ca.crt'),
  ];
  return authority === undefined ? 'not found' : `${authority.x509.fingerprint256.slice(0, SHOWN_FINGERPRINT)}…`;
}

function objectIn(fact: ObjectFact | undefined): Exclude<ObjectFact, string> | undefined {
  return fact === undefined || typeof fact === 'string' ? undefined : fact;
}

function parsed(pem: unknown): readonly Certificate[] {
  try {
    return typeof pem === 'string' ? certificatesOf(pem) : [];
  } catch {
    return [];
  }
}
