/** The files of clusters in a directory. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { clusterNameProblem } from '../cluster-info.ts';
import { asError } from '../errors.ts';
import { readBoundedFile } from '../files/bounded-file.ts';
import { MAX_CONFIG_FILE_BYTES } from '../limits.ts';
import { fileFailure } from './go-errors.ts';

/** Distinguishes a cluster's file from certificates and other files. */
export const MARK = 'endpoints:';

export interface ConfigFiles {
  /** The files of clusters by name; the daemon may ignore some of them. */
  readonly files: ReadonlyMap<string, string>;
  /** Files with names of clusters that have no endpoints. */
  readonly ignored: readonly string[];
  /** Files with names of clusters that cannot be read, and why. */
  readonly unreadable: ReadonlyMap<string, string>;
}

/** The error where the directory cannot be read. Never rejects. */
export async function configFiles(directory: string): Promise<ConfigFiles | Error> {
  try {
    const names = (await readdir(directory)).sort();
    const kinds = await Promise.all(names.map((name) => kindOf(join(directory, name))));
    const ofKind = (wanted: FileKind) => names.filter((_, index) => kinds[index] === wanted);
    const problems = names.flatMap((name, index) => {
      const kind = kinds[index];
      return kind instanceof Error && clusterNameProblem(name) === undefined ? [[name, kind.message] as const] : [];
    });
    return {
      files: new Map(ofKind('cluster').map((name) => [name, join(directory, name)])),
      ignored: ofKind('other').filter((name) => clusterNameProblem(name) === undefined),
      unreadable: new Map(problems),
    };
  } catch (thrown) {
    return new Error(fileFailure(directory, thrown).text);
  }
}

type FileKind = 'cluster' | 'other' | 'none' | Error;

async function kindOf(path: string): Promise<FileKind> {
  try {
    if (!(await stat(path)).isFile()) return 'none';
    return (await readBoundedFile(path, MAX_CONFIG_FILE_BYTES)).includes(MARK) ? 'cluster' : 'other';
  } catch (thrown) {
    return asError(thrown);
  }
}
