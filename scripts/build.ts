/**
 * Bundles the program into one file that needs nothing but Node: dist/clustermesh-apiserver.js, or the
 * file that is the first argument. A second argument names a file for what went into it, as esbuild tells it.
 *
 * $BUILD_REVISION is the revision where there is no repository.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin, transform } from 'esbuild';
import { ROOT } from './steps.ts';

const git = spawnSync('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: ROOT, encoding: 'utf8' });
const revision = process.env.BUILD_REVISION ?? (git.status === 0 ? git.stdout.trim() : 'unknown');
const CLIENT = '@kubernetes/client-node';
const [, , outfile = join('dist', 'clustermesh-apiserver.js'), metafile] = process.argv;

/**
 * Of the client of Kubernetes only the class KubeConfig is used. Its index has every API and every kind too: half of the
 * bundle, for nothing.
 */
const onlyKubeConfig: Plugin = {
  name: 'only KubeConfig',
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^@kubernetes\/client-node$|^\./ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
      if (pluginData === onlyKubeConfig.name) return undefined;
      const wanted = path === CLIENT ? `./node_modules/${CLIENT}/dist/config.js` : path;
      const from = path === CLIENT ? ROOT : resolveDir;
      const found = await resolve(wanted, { kind, importer, resolveDir: from, pluginData: onlyKubeConfig.name });
      return found.path.includes(`/node_modules/${CLIENT}/`) ? { ...found, sideEffects: false } : undefined;
    });
  },
};

/** The files of the status page by path, as src/kvstoremesh/page/files.ts takes them: the scripts as one. */
async function pageFiles(): Promise<Record<string, string>> {
  const browser = join(ROOT, 'src/kvstoremesh/page/browser');
  const minify = { minifySyntax: true, minifyWhitespace: true, logLevel: 'warning' } as const;
  const { outputFiles } = await build({
    ...minify,
    entryPoints: [join(browser, 'main.ts')],
    bundle: true,
    write: false,
    minifyIdentifiers: true,
    format: 'esm',
    target: 'es2022',
  });
  const { code: style } = await transform(readFileSync(join(browser, 'page.css'), 'utf8'), { ...minify, loader: 'css' });
  const page = readFileSync(join(browser, 'index.html'), 'utf8');
  return { '/': page, '/page/page.css': style, '/page/main.js': outputFiles[0]?.text ?? '' };
}

const { metafile: contents } = await build({
  absWorkingDir: ROOT,
  entryPoints: ['src/main.ts'],
  outfile,
  bundle: true,
  metafile: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  minifySyntax: true,
  minifyWhitespace: true,
  // Names of error classes are part of log lines.
  keepNames: true,
  legalComments: 'eof',
  define: { BUILD_REVISION: JSON.stringify(revision), PAGE_FILES: JSON.stringify(await pageFiles()) },
  // Bundled CommonJS modules use these.
  banner: {
    js: [
      "import { createRequire as bundleRequire } from 'node:module';",
      'const require = bundleRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;',
    ].join('\n'),
  },
  plugins: [onlyKubeConfig],
  logLevel: 'warning',
});

if (metafile !== undefined) writeFileSync(metafile, JSON.stringify(contents));
