/** Images for the nodes: the one that `scripts/image` builds, and the one that holds the network of a Pod. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChild } from '../processes/child.ts';
import { PAUSE_IMAGE } from './node-files.ts';
import { nodeProgram } from './node-programs.ts';

const ROOT = join(import.meta.dirname, '../../..');
/** The name in the archive of `scripts/image`. */
export const LOCAL_IMAGE = 'localhost/clustermesh-apiserver:local';

/** The path of an archive with the image of the project. */
export async function projectImage(): Promise<string> {
  const { status, stdout, stderr } = await runChild(join(ROOT, 'scripts/image'), []);
  if (status !== 0) throw new Error(stderr);
  return stdout.trim();
}

/** Writes an archive, in the format of Docker, with an image that does nothing but wait for the end of its Pod. */
export function writePauseImage(file: string): void {
  const directory = mkdtempSync(join(tmpdir(), 'pause-'));
  try {
    const at = (name: string) => join(directory, name);
    const tar = (archive: string, ...names: string[]) => execFileSync('tar', ['-cf', archive, '-C', directory, ...names]);
    copyFileSync(nodeProgram('catatonit'), at('pause'));
    chmodSync(at('pause'), 0o755);
    tar(at('layer.tar'), 'pause');
    const digest = createHash('sha256')
      .update(readFileSync(at('layer.tar')))
      .digest('hex');
    const config = {
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      config: { User: '65535:65535', Entrypoint: ['/pause', '-P'] },
      rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
    };
    writeFileSync(at('config.json'), JSON.stringify(config));
    writeFileSync(
      at('manifest.json'),
      JSON.stringify([{ Config: 'config.json', RepoTags: [PAUSE_IMAGE], Layers: ['layer.tar'] }]),
    );
    tar(file, 'manifest.json', 'config.json', 'layer.tar');
  } finally {
    rmSync(directory, { recursive: true });
  }
}
