/** What must hold before clusters are connected. Pure: from what was read to findings. */
import { clusterIdProblem, clusterNameProblem } from '../../shared/cluster-info.ts';
import type { Certificate } from '../../shared/tls/certificate.ts';
import { nameVerdict } from '../../shared/tls/server-name.ts';
import { type ClusterAccess, REMOTE_SECRET } from '../access.ts';
import type { Destination } from '../addresses.ts';
import type { ClusterIdentity } from '../cluster.ts';

export type Severity = 'ok' | 'warning' | 'error';

export interface Check {
  readonly severity: Severity;
  readonly text: string;
  /** '' where nothing is to be done. */
  readonly remedy: string;
}

export interface CheckedCluster {
  readonly identity: ClusterIdentity;
  readonly access: ClusterAccess;
}

const SUPPORTED_SIZES = [255, 511];

/** Name, ID and certificate of one cluster. */
export function clusterChecks({ identity, access }: CheckedCluster): readonly Check[] {
  const { name, id, maxConnectedClusters } = identity;
  const nameProblem =
    name === 'default' ? 'the name "default" is reserved for clusters without a mesh' : clusterNameProblem(name);
  const idProblem = clusterIdProblem(id, maxConnectedClusters);
  const checks: Check[] = [];
  if (nameProblem !== undefined)
    checks.push(failed(`${name}: ${nameProblem}`, 'set cluster.name of Cilium; new workloads have the name, restart the others'));
  if (idProblem !== undefined)
    checks.push(failed(`${name}: ${idProblem}`, 'set cluster.id of Cilium, and restart the workloads'));
  if (!SUPPORTED_SIZES.includes(maxConnectedClusters))
    checks.push(
      failed(
        `${name}: max-connected-clusters is ${maxConnectedClusters}`,
        'set clustermesh.maxConnectedClusters of Cilium to 255 or 511',
      ),
    );
  if (checks.length === 0) checks.push(passed(`${name}: ID ${id} of 1 to ${maxConnectedClusters}`));
  if (!access.hasRemoteCertificate)
    checks.push(
      failed(`${name}: Secret ${REMOTE_SECRET} does not exist`, 'install clustermesh-apiserver, or create it: certs generate'),
    );
  return checks;
}

/** Two clusters that are to be connected. */
export function pairChecks(one: CheckedCluster, other: CheckedCluster, allowMismatchingCa: boolean): readonly Check[] {
  const [a, b] = [one.identity, other.identity];
  const both = `${a.name} and ${b.name}`;
  return [
    a.name === b.name
      ? failed(`both clusters are named ${a.name}`, 'set cluster.name of Cilium in one of them; contexts must be of two clusters')
      : passed(`${both}: names differ`),
    a.id === b.id
      ? failed(`${both}: both clusters have ID ${a.id}`, 'set cluster.id of Cilium in one of them, and restart its workloads')
      : passed(`${both}: IDs differ`),
    a.maxConnectedClusters === b.maxConnectedClusters
      ? passed(`${both}: max-connected-clusters is ${a.maxConnectedClusters} in both`)
      : failed(
          `${both}: max-connected-clusters is ${a.maxConnectedClusters} and ${b.maxConnectedClusters}`,
          'clustermesh.maxConnectedClusters of Cilium must be equal; it cannot change while workloads run',
        ),
    authorityCheck(one, other, allowMismatchingCa),
  ];
}

/** The names at which other clusters reach `cluster`. */
export function destinationChecks({ identity, access }: CheckedCluster, destination: Destination): readonly Check[] {
  const { certificate } = access;
  const hosts = destination.ips.length > 0 ? [`${identity.name}.mesh.cilium.io`, ...destination.names] : destination.names;
  if (certificate === undefined)
    return [
      {
        severity: 'warning',
        text: `${identity.name}: the server certificate cannot be read`,
        remedy: 'check it with certs check in this cluster',
      },
    ];
  const lacking = hosts.filter((host) => nameVerdict(certificate, host) !== 'covered');
  if (lacking.length === 0) return [passed(`${identity.name}: the server certificate has ${hosts.join(', ')}`)];
  return [
    failed(
      `${identity.name}: the server certificate does not have ${lacking.join(', ')}`,
      'add the names to tls.server.extraDnsNames (Cilium: clustermesh.apiserver.tls.auto.server.extraDnsNames)',
    ),
  ];
}

function authorityCheck(one: CheckedCluster, other: CheckedCluster, isAllowed: boolean): Check {
  const [a, b] = [one.access, other.access];
  const both = `${one.identity.name} and ${other.identity.name}`;
  if (trusts(a.trusted, b.authority) && trusts(b.trusted, a.authority))
    return passed(`${both}: each trusts the CA of the other (${fingerprints(one, other)})`);
  const text = `${both}: the CA of one is not trusted by the other (${fingerprints(one, other)})`;
  const remedy =
    'share one CA, or add both CAs to the trusted CAs: tls.caBundle of the charts, or certs generate --extra-ca-file';
  if (isAllowed) return { severity: 'warning', text, remedy };
  return failed(text, `${remedy}; --allow-mismatching-ca connects them nevertheless`);
}

/** A CA that was renewed with its key is the same for this purpose. */
function trusts(trusted: readonly Certificate[], authority: Certificate | undefined): boolean {
  if (authority === undefined) return false;
  return trusted.some(
    ({ rawSubject, x509 }) => rawSubject.equals(authority.rawSubject) && x509.publicKey.equals(authority.x509.publicKey),
  );
}

function fingerprints(...clusters: readonly CheckedCluster[]): string {
  return clusters
    .map(({ identity, access }) => `${identity.name}: ${access.authority?.x509.fingerprint256 ?? 'no CA found'}`)
    .join(', ');
}

function passed(text: string): Check {
  return { severity: 'ok', text, remedy: '' };
}

function failed(text: string, remedy: string): Check {
  return { severity: 'error', text, remedy };
}
