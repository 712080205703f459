/**
 * Bundles the program into one file that needs nothing but Node: dist/clustermesh-apiserver.js, or the
 * file that is the first argument.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';
import { ROOT } from './steps.ts';

const git = spawnSync('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: ROOT, encoding: 'utf8' });
const revision = git.status === 0 ? git.stdout.trim() : 'unknown';

await build({
  absWorkingDir: ROOT,
  entryPoints: ['src/main.ts'],
  outfile: process.argv[2] ?? join('dist', 'clustermesh-apiserver.js'),
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  minifySyntax: true,
  minifyWhitespace: true,
  // Names of error classes are part of log lines.
  keepNames: true,
  legalComments: 'eof',
  define: { BUILD_REVISION: JSON.stringify(revision) },
  // Bundled CommonJS modules use these.
  banner: {
    js: [
      "import { createRequire as bundleRequire } from 'node:module';",
      'const require = bundleRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;',
    ].join('\n'),
  },
  logLevel: 'warning',
});
