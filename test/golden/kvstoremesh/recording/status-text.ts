/**
 * What `kvstoremesh-dbg status --verbose` shows, in the form of the recordings: `N-status.txt`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NOTES, statusText } from '../../../../src/kvstoremesh/status/status-text.ts';
import { comparableText } from './comparable-text.ts';
import type { Scenario } from './scenario.ts';

/** Undefined if the original's command had no server. */
export function recordedStatus({ directory }: Scenario, step: number): string | undefined {
  const file = join(directory, `${step}-status.txt`);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** The text for a response of the status API. Additional notes after the documented lines are removed. */
export function shownStatus(answer: unknown, volatile: readonly string[]): string {
  const [documented = ''] = statusText(answer, { verbose: true, nowMs: Date.now() }).split(NOTES);
  const comparable = comparableText(documented).replaceAll(/\(last: (?!never)[^)]*\)/g, '(last: <age>)');
  return volatile.includes('num-failures')
    ? comparable.replaceAll(/\d+ reconnections \(last: [^)]*\)/g, '<volatile> reconnections')
    : comparable;
}
