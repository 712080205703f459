/**
 * Downloads the pinned release of etcd, checks its digest, and unpacks the server into the directory
 * that is the first argument. A failure leaves nothing behind.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const VERSION = '3.6.5';

/** SHA-256 of the archive, by the architecture's name in Node and in the archive's name. */
const ARCHIVES: Readonly<Record<string, readonly [string, string]>> = {
  x64: ['amd64', '66bad39ed920f6fc15fd74adcb8bfd38ba9a6412f8c7852d09eb11670e88cac3'],
  arm64: ['arm64', '7010161787077b07de29b15b76825ceacbbcedcb77fe2e6832f509be102cab6b'],
};

/** For the first byte, and for the whole of its 24 MB. */
const ANSWER_TIMEOUT_MS = 15_000;
const DOWNLOAD_TIMEOUT_MS = 300_000;

async function download(url: string): Promise<Buffer> {
  const tooSlow = new AbortController();
  const noAnswer = setTimeout(() => tooSlow.abort(new Error('no answer')), ANSWER_TIMEOUT_MS);
  const response = await fetch(url, {
    signal: AbortSignal.any([tooSlow.signal, AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS)]),
  }).finally(() => clearTimeout(noAnswer));
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

const directory = process.argv[2];
const archive = process.platform === 'linux' ? ARCHIVES[process.arch] : undefined;
if (directory === undefined || archive === undefined) throw new Error(`no release for ${process.platform} ${process.arch}`);
const [arch, digest] = archive;
const name = `etcd-v${VERSION}-linux-${arch}`;

const bytes = await download(`https://github.com/etcd-io/etcd/releases/download/v${VERSION}/${name}.tar.gz`);
const actual = createHash('sha256').update(bytes).digest('hex');
if (actual !== digest) throw new Error(`the archive of etcd has the digest ${actual} instead of ${digest}`);

const temporary = mkdtempSync(join(directory, 'download-'));
try {
  writeFileSync(join(temporary, 'archive.tar.gz'), bytes);
  const tar = spawnSync('tar', ['-xzf', 'archive.tar.gz', '--strip-components=1', `${name}/etcd`], { cwd: temporary });
  if (tar.status !== 0) throw new Error(`the archive could not be unpacked: ${tar.error?.message ?? String(tar.stderr)}`);
  renameSync(join(temporary, 'etcd'), join(directory, 'etcd'));
} finally {
  rmSync(temporary, { recursive: true });
}
