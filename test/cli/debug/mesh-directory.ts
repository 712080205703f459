/** A configuration directory for a test, and the report on it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { etcdCheckTools } from '../../../src/cli/debug/etcd-check-tools.ts';
import { type MeshTroubleshootOptions, troubleshootMesh } from '../../../src/shared/troubleshoot/troubleshoot.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import type { CertificateFiles } from '../../support/tls/certificates.ts';

export interface Report {
  /** The blocks that the original has too. */
  readonly documented: string;
  /** The lines after them, without their first word. */
  readonly verdicts: readonly string[];
}

/** Certificates and a key as the file of a cluster names them. */
export interface Files extends Partial<CertificateFiles> {
  readonly caFile?: string;
}

/** A file of a cluster. `more`: further lines. */
export function clusterFile(endpoints: readonly string[], files: Files = {}, more: readonly string[] = []): string {
  const { caFile, certFile, keyFile } = files;
  return [
    'endpoints:',
    ...endpoints.map((url) => `- ${url}`),
    ...(caFile === undefined ? [] : [`trusted-ca-file: ${caFile}`]),
    ...(certFile === undefined ? [] : [`cert-file: ${certFile}`]),
    ...(keyFile === undefined ? [] : [`key-file: ${keyFile}`]),
    ...more,
    '',
  ].join('\n');
}

/** The names that have an address without DNS. */
export function aliasLines(hostname: string, ...ips: readonly string[]): readonly string[] {
  return ['cilium-host-aliases:', `- hostname: ${hostname}`, '  ips:', ...ips.map((ip) => `  - ${ip}`)];
}

/** Writes `files` into a directory of the test. */
export function directoryForTest(files: Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory('dbg');
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  return directory;
}

/** The report on a directory with `files`. */
export async function reportOn(
  files: Readonly<Record<string, string>>,
  options: Partial<MeshTroubleshootOptions> = {},
): Promise<Report> {
  const directory = directoryForTest(files);
  const chunks: string[] = [];
  const all = { tools: etcdCheckTools, timeoutMs: 5_000, localConfig: undefined, directory, clusters: [], ...options };
  for await (const text of troubleshootMesh(all)) chunks.push(text);
  return split(chunks.join('').replaceAll(directory, '<dir>'));
}

/** A report in its two parts. Throws where a verdict stands in the first one. */
export function split(text: string): Report {
  const at = text.indexOf('\nVerdict: ');
  const documented = at < 0 ? text : text.slice(0, at);
  const verdicts =
    at < 0
      ? []
      : text
          .slice(at + 1)
          .trimEnd()
          .split('\n');
  const stray = verdicts.find((line) => !line.startsWith('Verdict: '));
  if (stray !== undefined) throw new Error(`behind the verdicts: ${stray}`);
  return { documented, verdicts: verdicts.map((line) => line.replace('Verdict: ', '')) };
}

/** The block of one cluster, its title included. */
export function blockOf({ documented }: Report, cluster: string): string {
  const block = documented.split(/\n(?=Cluster ")/).find((each) => each.startsWith(`Cluster "${cluster}":`));
  if (block === undefined) throw new Error(`no block of ${cluster} in:\n${documented}`);
  return `${block.trimEnd()}\n`;
}

/** What differs from run to run, made equal: numbers, keys, times, ports. */
export function comparable(block: string): string {
  return block
    .replaceAll(/\b[0-9a-f]{2}(?::[0-9a-f]{2}){7,}\b/g, '<hex>')
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC/g, '<time>')
    .replaceAll(/(\.test|127\.0\.0\.1):\d+/g, '$1:<port>')
    .replaceAll(/cluster ID: [0-9a-f]+/g, 'cluster ID: <id>')
    .replaceAll(/server version: 3\.\d+\.\d+/g, 'server version: <version>');
}
