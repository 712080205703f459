/** The Secrets with certificates, as Cilium's certgen makes them: names, subjects and usages by release. */
import { type Issued, Pki } from '../tls/pki.ts';
import type { AuthMode, CiliumVersion } from './versions.ts';
import { isFrom } from './versions.ts';

/** Signs with one CA, `cilium-ca` of all clusters of a mesh. */
export class CertificateIssuer implements Disposable {
  readonly #pki = new Pki();
  readonly ca: Issued = this.#pki.authority('Cilium CA', []);

  issue(name: string, usage: 'server' | 'client', alternatives: readonly string[] = []): Issued {
    const names = alternatives.length === 0 ? [] : [`subjectAltName=${alternatives.join(',')}`];
    return this.#pki.issue({
      name,
      issuer: this.ca,
      extensions: [
        'basicConstraints=critical,CA:FALSE',
        'keyUsage=critical,digitalSignature,keyEncipherment',
        `extendedKeyUsage=${usage}Auth`,
        ...names,
      ],
    });
  }

  [Symbol.dispose](): void {
    this.#pki[Symbol.dispose]();
  }
}

export interface CertificateOptions {
  readonly version: CiliumVersion;
  readonly namespace: string;
  readonly clusterName: string;
  readonly authMode: AuthMode;
  readonly kvstoremesh: boolean;
}

/** By the name of the Secret. */
export function certificates(
  issuer: CertificateIssuer,
  { version, namespace, clusterName, authMode, kvstoremesh }: CertificateOptions,
): Readonly<Record<string, Issued>> {
  const service = `clustermesh-apiserver.${namespace}.svc`;
  const former = 'clustermesh-apiserver.cilium.io';
  const hosts = isFrom(version, '1.20') ? [service, '*.mesh.cilium.io'] : [former, '*.mesh.cilium.io', service];
  const alternatives = [...hosts.map((host) => `DNS:${host}`), 'IP:127.0.0.1', 'IP:::1'];
  const remote = authMode === 'cluster' ? `remote-${clusterName}` : 'remote';
  return {
    'clustermesh-apiserver-server-cert': issuer.issue(hosts[0] ?? service, 'server', alternatives),
    'clustermesh-apiserver-admin-cert': issuer.issue(`admin-${clusterName}`, 'client'),
    'clustermesh-apiserver-remote-cert': issuer.issue(remote, 'client'),
    ...(hasLocalCertificate(version, kvstoremesh)
      ? { 'clustermesh-apiserver-local-cert': issuer.issue(`local-${clusterName}`, 'client') }
      : {}),
  };
}

/** Of the agents, for what kvstoremesh mirrors; they use it from 1.17 on. */
function hasLocalCertificate(version: CiliumVersion, kvstoremesh: boolean): boolean {
  return kvstoremesh && isFrom(version, '1.16');
}
