/** Unusual certificates, made with the `openssl` command. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Authority, CertificateDirectory, CertificateFiles } from '../../support/tls/certificates.ts';

/** An authority that another one has issued; its certificates come with its own. */
export function intermediateAuthority(directory: CertificateDirectory, root: Authority): Authority {
  const self = directory.authority('branch');
  const own = { certFile: self.caFile, keyFile: keyOf(self) };
  sign(root, own, self.caFile, ['-days', '2', '-copy_extensions', 'copyall']);
  return {
    ...self,
    issue: (request) => {
      const files = self.issue(request);
      appendFileSync(files.certFile, readFileSync(self.caFile));
      return files;
    },
  };
}

/** The CA signs the certificate again, into `out`. */
function sign(authority: Authority, { certFile, keyFile }: CertificateFiles, out: string, how: readonly string[]): void {
  const ask = ['x509', '-x509toreq', '-in', certFile, '-signkey', keyFile, '-copy_extensions', 'copyall'];
  const request = execFileSync('openssl', ask, { stdio: 'pipe' });
  const issue = ['x509', '-req', ...how, '-CA', authority.caFile, '-CAkey', keyOf(authority), '-out', out];
  execFileSync('openssl', issue, { input: request, stdio: 'pipe' });
}

function keyOf(authority: Authority): string {
  return join(dirname(authority.caFile), 'ca.key');
}
