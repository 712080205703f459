/** Which program this is. */
import pkg from '../../package.json' with { type: 'json' };

/** Replaced by the bundler; a run from source has no such name. */
declare const BUILD_REVISION: string | undefined;

export interface Version {
  readonly version: string;
  /** The commit it was built from, abbreviated; `source` for a run from source. */
  readonly revision: string;
  /** In the words of the field: amd64, arm64. */
  readonly arch: string;
}

const ARCH_NAMES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

export const VERSION: Version = {
  version: pkg.version,
  revision: typeof BUILD_REVISION === 'string' ? BUILD_REVISION : 'source',
  arch: ARCH_NAMES[process.arch] ?? process.arch,
};
