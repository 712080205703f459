/** The certificates of a remote's connection, as a real kvstoremesh shows them: what was presented, and what is in the files. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RemoteDetail } from '../../src/kvstoremesh/page/snapshot.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { KvstoremeshProcess } from '../support/kvstoremesh/kvstoremesh-process.ts';
import { startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { startTlsRemote, tlsConfig } from '../support/kvstoremesh/tls-remote.ts';
import { CertificateDirectory, canMakeCertificates } from '../support/tls/certificates.ts';

const canRun = canMakeCertificates() && etcdVersions().length > 0;

const endOf = (file: string) => new X509Certificate(readFileSync(file)).validToDate.getTime();

/** The first event `detail` of the stream. */
async function detailOf(url: string, cluster: string): Promise<RemoteDetail> {
  const answer = await fetch(`${url}/v1/page/stream?cluster=${cluster}`);
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    const data = /^event: detail\ndata: (.*)\n/m.exec(text)?.[1];
    if (data !== undefined) return JSON.parse(data) as RemoteDetail;
  }
  throw new Error(`no details in ${text}`);
}

describe.skipIf(!canRun)('certificates (needs etcd and the openssl command, version 3)', () => {
  test('the certificate of the server, the CA and that of the client have their ends, without their directories', async () => {
    const authority = new CertificateDirectory().authority('mesh');
    const server = authority.issue({ name: 'etcd', alternatives: ['IP:127.0.0.1'] });
    const client = { caFile: authority.caFile, ...authority.issue({ name: 'remote' }) };
    await using local = await startLocal();
    await using berlin = await startTlsRemote('berlin', 7, server, authority);
    await using mesh = await KvstoremeshProcess.prepare({ endpoint: local.process.endpoint });
    mesh.configure('berlin', tlsConfig(berlin, client));
    await mesh.start();
    await mesh.until('it is mirrored', 'berlin', ({ ready }) => ready);
    const { certificates } = await detailOf(mesh.apiUrl, 'berlin');
    expect(certificates).toEqual([
      { what: 'server of the remote', expires: endOf(server.certFile) },
      { what: `file ${basename(client.caFile)}`, expires: endOf(client.caFile) },
      { what: `file ${basename(client.certFile)}`, expires: endOf(client.certFile) },
    ]);
  });
});
