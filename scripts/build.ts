/**
 * Bundles the program into files that need nothing but Node: dist/clustermesh-apiserver.js, or the file that is the first
 * argument, and `parts` beside it, which a command loads when it needs them. A second argument names a file for what went
 * into them, as esbuild tells it.
 *
 * $BUILD_REVISION is the revision where there is no repository.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
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

/**
 * An import statement reads every export of a module of Node, also those that Node loads only once they are read: `node:http`
 * has WebSocket, for which Node compiles a whole HTTP client. `require` reads none.
 */
const builtinsByRequire: Plugin = {
  name: 'modules of Node by require',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: new RegExp(`^(?:node:)?(?:${builtinModules.join('|')})$`) }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'builtin' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)})`,
    }));
  },
};

/** The parts of packages that are used; their index loads much besides. */
const USED_PARTS: Readonly<Record<string, string>> = {
  // No cluster of processes, no gateway to push to.
  'prom-client': [
    "export { default as Registry } from './node_modules/prom-client/lib/registry.js';",
    ...['Counter', 'Gauge'].map(
      (name) => `export { default as ${name} } from './node_modules/prom-client/lib/${name.toLowerCase()}.js';`,
    ),
    "export { default as collectDefaultMetrics } from './node_modules/prom-client/lib/defaultMetrics.js';",
  ].join('\n'),
};

const onlyUsedParts: Plugin = {
  name: 'only used parts of packages',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: new RegExp(`^(?:${Object.keys(USED_PARTS).join('|')})$`) }, ({ path, importer }) =>
      importer.startsWith(join(ROOT, 'src')) ? { path, namespace: 'used parts' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'used parts' }, ({ path }) => ({ contents: USED_PARTS[path] ?? '', resolveDir: ROOT }));
  },
};

/**
 * Packages that the used parts of others would load for what is not done here: schemas of routes, requests without a network.
 */
const UNUSED = ['@fastify/ajv-compiler', '@fastify/fast-json-stringify-compiler', 'light-my-request'];

const withoutUnused: Plugin = {
  name: 'without unused packages',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: new RegExp(`^(?:${UNUSED.join('|')})$`) }, ({ path }) => ({ path, namespace: 'unused' }));
    onLoad({ filter: /./, namespace: 'unused' }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is not part of the program`)})`,
    }));
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

const directory = resolve(ROOT, dirname(outfile));
rmSync(join(directory, 'parts'), { recursive: true, force: true });
mkdirSync(directory, { recursive: true });
// Otherwise Node compiles each file once to find out what kind it is.
writeFileSync(join(directory, 'package.json'), '{"type":"module"}\n');

const { metafile: contents } = await build({
  absWorkingDir: ROOT,
  entryPoints: ['src/main.ts'],
  outdir: directory,
  entryNames: basename(outfile, '.js'),
  chunkNames: 'parts/[name]-[hash]',
  splitting: true,
  bundle: true,
  metafile: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'linked',
  define: { BUILD_REVISION: JSON.stringify(revision), PAGE_FILES: JSON.stringify(await pageFiles()) },
  // Bundled CommonJS modules use these.
  banner: {
    js: [
      "import { createRequire as bundleRequire } from 'node:module';",
      'const require = bundleRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;',
    ].join('\n'),
  },
  plugins: [builtinsByRequire, onlyUsedParts, withoutUnused, onlyKubeConfig],
  logLevel: 'warning',
});

if (metafile !== undefined) writeFileSync(metafile, JSON.stringify(contents));
