/** The certificates of a cluster, each by itself: what `certs check` finds in the Secrets. */
import { expiryFinding, type FindingCode, judge } from '../../../certs/findings.ts';
import { type Profile, profilesOf } from '../../../certs/profiles.ts';
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { EXPIRY_WARNING_MS } from '../../../shared/limits.ts';
import { certificatesIn } from '../../access.ts';
import { CLUSTERMESH_SECRET } from '../../entries.ts';
import { type CheckId, failed, passed, warned } from '../catalogue.ts';
import { entrySecrets } from '../connections/entries.ts';
import type { Member, Moment, ObjectFact } from '../facts.ts';
import { objectOf } from '../subjects.ts';
import { hasContainer, hasExporter } from '../workload/containers.ts';

const CHECK_OF: Readonly<Record<FindingCode, CheckId>> = {
  'secret-missing': 'certificate-secret',
  'certificate-missing': 'certificate-content',
  'certificate-malformed': 'certificate-content',
  'key-missing': 'certificate-content',
  'key-malformed': 'certificate-content',
  'key-mismatch': 'certificate-content',
  'ca-missing': 'certificate-content',
  'ca-malformed': 'certificate-content',
  'ca-unusable': 'certificate-content',
  'not-signed': 'certificate-chain',
  'other-issuer': 'certificate-chain',
  'ca-differs': 'certificate-chain',
  rotation: 'certificate-chain',
  'common-name': 'certificate-user',
  'san-missing': 'server-names',
  'usage-missing': 'certificate-usages',
  'not-yet-valid': 'certificate-not-yet-valid',
  expired: 'certificate-expired',
  'ca-expired': 'certificate-expired',
  'expires-soon': 'certificate-expires-soon',
  'ca-expires-soon': 'certificate-expires-soon',
};

const CA_SECRET = 'cilium-ca';

export function certificateFindings(member: Member, moment: Moment): readonly Finding[] {
  return [...profilesFor(member).flatMap((profile) => secretFindings(member, profile, moment)), ...authority(member, moment)];
}

/**
 * Those of kvstoremesh alone, which uses another etcd, are that for remote clusters. The certificate for agents is needed where
 * they read what kvstoremesh mirrors, but charts before Cilium 1.16 do not have it.
 */
function profilesFor(member: Member): readonly Profile[] {
  const profiles = profilesOf({
    namespace: member.namespace,
    clusterName: member.name,
    authMode: undefined,
    extraDnsNames: [],
    extraIpAddresses: [],
    clusterDomain: 'cluster.local',
    hasPeers: false,
  });
  const { workload } = member;
  const isAlone = typeof workload !== 'string' && !hasExporter(workload);
  const hasCache = hasContainer(workload, 'kvstoremesh') && !isAlone && usesLocalCertificate(member);
  return profiles
    .filter(({ name }) => (name === 'local' ? hasCache : !isAlone || name === 'remote'))
    .map((profile) => ({
      ...profile,
      // Any name that covers this cluster will do.
      dnsNames: profile.dnsNames.map((name) => name.replace(/^\*(?=\.mesh\.)/, member.name)),
    }));
}

/** By the entries of agents. */
function usesLocalCertificate(member: Member): boolean {
  const agents = entrySecrets(member).find(({ name }) => name === CLUSTERMESH_SECRET);
  const files = agents?.entries.flatMap((entry) => entry.files) ?? [];
  return files.length === 0 || files.some((file) => file.startsWith('local-etcd-client'));
}

function secretFindings(member: Member, profile: Profile, { nowMs }: Moment): readonly Finding[] {
  const subject = objectOf(member, 'Secret', profile.secretName);
  const secret: ObjectFact = member.secrets.get(profile.secretName) ?? 'unread';
  if (secret === 'unread') return [];
  if (secret === 'absent') return [failed('certificate-secret', subject, 'the Secret does not exist', reissue(member))];
  const text = (key: string) => decoded(secret, key);
  const material = { certificate: text('tls.crt'), key: text('tls.key'), ca: text('ca.crt') };
  const judgement = judge(material, profile, { nowMs, renewBeforeMs: EXPIRY_WARNING_MS });
  const findings = judgement.findings
    .filter(({ code }) => member.isNamed || (code !== 'common-name' && code !== 'san-missing'))
    .map(({ code, severity, evidence }) => {
      const tell = severity === 'error' ? failed : warned;
      return tell(CHECK_OF[code], subject, evidence, reissue(member, profile.secretName));
    });
  if (findings.length > 0) return findings;
  const { leaf } = judgement;
  const until = leaf === undefined ? '' : `, valid until ${new Date(leaf.notAfterMs).toISOString().slice(0, 10)}`;
  return [passed('certificate-chain', subject, `issued by a CA that it names${until}`)];
}

/** The CA that issues; it need not be in the cluster. */
function authority(member: Member, { nowMs }: Moment): readonly Finding[] {
  const fact = member.secrets.get(CA_SECRET) ?? 'unread';
  const [certificate] = typeof fact === 'string' ? [] : certificatesIn(fact, 'ca.crt');
  if (certificate === undefined) return [];
  const subject = objectOf(member, 'Secret', CA_SECRET);
  const expiry = expiryFinding(certificate, { nowMs, renewBeforeMs: EXPIRY_WARNING_MS });
  const remedy = `rotate the CA: clustermesh-apiserver certs rotate-ca prepare --namespace=${member.namespace}`;
  if (expiry !== undefined)
    return [(expiry.severity === 'error' ? failed : warned)(CHECK_OF[expiry.code], subject, expiry.evidence, remedy)];
  const until = new Date(certificate.notAfterMs).toISOString().slice(0, 10);
  return [passed('certificate-expired', subject, `the CA is valid until ${until}`)];
}

function reissue({ context, namespace, name }: Member, secret?: string): string {
  const own = `clustermesh-apiserver certs generate --namespace=${namespace} --cluster-name=${name} with the kubeconfig context ${context}`;
  if (secret === undefined) return `create it: ${own}, or clustermesh.useAPIServer=true of Cilium`;
  return `renew the certificate: ${own}; of Cilium, delete Secret ${secret} and run helm upgrade`;
}

function decoded(secret: Exclude<ObjectFact, string>, key: string): string | undefined {
  const value = recordOf(secret.data)[key];
  return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : undefined;
}
