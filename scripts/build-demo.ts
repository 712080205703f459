/** Bundles the embedded Kubernetes API of the demonstration into the file that is the first argument. */
import { build } from 'esbuild';
import { ROOT } from './steps.ts';

const [, , outfile] = process.argv;
if (outfile === undefined) throw new Error('usage: build-demo.ts FILE');
await build({
  absWorkingDir: ROOT,
  entryPoints: ['demo/kubernetes/main.ts'],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  keepNames: true,
  // What was CommonJS before it was bundled asks for this.
  banner: { js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);" },
  logLevel: 'warning',
});
