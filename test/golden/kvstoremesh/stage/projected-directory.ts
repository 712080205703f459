/**
 * The configuration directory of the daemon: plain, or with the layout of a Secret volume, where
 * files are links into a directory that is exchanged as a whole.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class ProjectedDirectory {
  readonly path: string;
  readonly #scratch: string;
  readonly #isProjected: boolean;
  readonly #files = new Map<string, string>();
  #version = 0;

  /** Below `parent`; changes appear with `publish`. */
  constructor(parent: string, isProjected: boolean) {
    this.path = join(parent, 'clustermesh');
    this.#scratch = join(parent, 'file');
    this.#isProjected = isProjected;
    mkdirSync(this.path);
  }

  set(name: string, text: string): void {
    this.#files.set(name, text);
  }

  remove(name: string): void {
    this.#files.delete(name);
  }

  /** Other bytes, the same meaning. */
  touch(name: string): void {
    this.#files.set(name, `${this.#files.get(name) ?? ''}# changed\n`);
  }

  publish(): void {
    if (this.#isProjected) this.#project();
    else this.#replace();
  }

  #replace(): void {
    const present = new Map(readdirSync(this.path).map((name) => [name, readFileSync(join(this.path, name), 'utf8')]));
    for (const name of present.keys()) if (!this.#files.has(name)) unlinkSync(join(this.path, name));
    for (const [name, text] of this.#files) {
      if (present.get(name) === text) continue;
      writeFileSync(this.#scratch, text);
      renameSync(this.#scratch, join(this.path, name));
    }
  }

  #project(): void {
    const present = readdirSync(this.path).filter((name) => !name.startsWith('..'));
    const former = `..version-${this.#version}`;
    this.#version += 1;
    const next = `..version-${this.#version}`;
    mkdirSync(join(this.path, next));
    for (const [name, text] of this.#files) writeFileSync(join(this.path, next, name), text);
    symlinkSync(next, join(this.path, '..data_tmp'));
    renameSync(join(this.path, '..data_tmp'), join(this.path, '..data'));
    for (const name of present) if (!this.#files.has(name)) unlinkSync(join(this.path, name));
    for (const name of this.#files.keys()) {
      if (!present.includes(name)) symlinkSync(join('..data', name), join(this.path, name));
    }
    rmSync(join(this.path, former), { recursive: true, force: true });
  }
}
