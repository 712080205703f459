/** `version`: name, version, revision and platform in one line. */
import { VERSION } from '../shared/version.ts';
import type { Command } from './command/command.ts';
import { PROGRAM } from './command/help.ts';

export const version: Command = {
  summary: 'Show the version',
  async run() {
    const { version, revision, arch } = VERSION;
    process.stdout.write(`${PROGRAM} ${version} ${revision} node ${process.versions.node} ${process.platform}/${arch}\n`);
    return 0;
  },
};
