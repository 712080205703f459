/** The static checks: types, format, lint, import directions, dead code, generated pages, prose. */
import { conclude, runSteps, type Step } from '../steps.ts';

export const CHECKS: readonly Step[] = [
  ['types', 'tsc'],
  ['types of the page', 'tsc', '--project', 'src/kvstoremesh/page/browser'],
  ['format and lint', 'biome', 'check', '--error-on-warnings'],
  ['promises', 'eslint', '--max-warnings=0', '.'],
  ['import directions', 'depcruise', '--output-type=err', 'src', 'test', 'bench', 'demo', 'scripts'],
  ['dead code', 'knip'],
  ['bounds page', 'node', 'scripts/checks/bounds.ts', '--check'],
  ['manual pages', 'node', 'scripts/docs/man.ts', '--check'],
  ['prose', 'node', 'scripts/checks/prose.ts'],
];

if (import.meta.main) {
  const tally = { passed: 0, failed: 0, skipped: 0 };
  runSteps(CHECKS, tally);
  process.exitCode = conclude(tally);
}
