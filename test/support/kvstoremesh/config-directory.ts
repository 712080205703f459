/** The configuration of a `kvstoremesh` of a test, whose cluster is `harbor`. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../temporary-directory.ts';
import type { Remote, Store } from './mesh-fixture.ts';

/** A directory of remote clusters. */
export class ConfigDirectory {
  readonly path = temporaryDirectory('config');

  fileOf(name: string): string {
    return join(this.path, name);
  }

  /** The file of `remote`, or of another name that leads to it. */
  add(remote: Remote, name = remote.name): void {
    this.write(name, `endpoints: ["${remote.proxy.endpoint}"]\n`);
  }

  write(name: string, content: string): void {
    writeFileSync(this.fileOf(name), content);
  }

  remove(name: string): void {
    rmSync(this.fileOf(name));
  }
}

/** `local`: the local etcd, or the options of the store that lead to one. */
export function harborFlags(local: Store | `etcd.${string}`, { path }: Pick<ConfigDirectory, 'path'>): string[] {
  const options = typeof local === 'string' ? local : `etcd.address=${local.process.endpoint}`;
  return ['--cluster-name=harbor', '--cluster-id=200', `--clustermesh-config=${path}`, `--kvstore-opt=${options}`];
}
