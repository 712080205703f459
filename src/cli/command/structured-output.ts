/** `-o json|yaml|jsonpath=…`: an answer for programs to read. */
import { stringify } from 'yaml';
import { FlagError } from '../../shared/flags/error.ts';
import { quoted } from '../../shared/flags/kinds.ts';
import { compileJsonPath } from './json-path.ts';

const JSONPATH = 'jsonpath=';

/**
 * What prints an answer in the form that `option` names. Throws FlagError where there is no such form, or the path is none. `others`:
 * forms that the caller has besides, for the message.
 */
export function structuredOutput(option: string, others: readonly string[] = []): (answer: unknown) => string {
  if (option === 'json') return (answer) => `${JSON.stringify(answer, null, 2)}\n`;
  // Readers of YAML 1.1 take a bare `no` for a boolean, and so may a cluster be named.
  if (option === 'yaml') return (answer) => stringify(answer, { version: '1.1', lineWidth: 0, sortMapEntries: true });
  if (option.startsWith(JSONPATH)) {
    const evaluate = compileJsonPath(option.slice(JSONPATH.length));
    return (answer) => `${evaluate(answer)}\n`;
  }
  const allowed = [...others, 'json', 'yaml', "jsonpath='{…}'"].join(', ');
  throw new FlagError(`flag --output: ${quoted(option)} is not supported; allowed: ${allowed}`);
}
