/** How a command prints its answer: as text, or in the form that its flag `--output` names. */
import type { Finding } from '../../shared/diagnosis/finding.ts';

/**
 * `text` where `option` is empty, else the form that it names, which is loaded only then. `others`: see structuredOutput. Rejects with
 * FlagError where there is no such form.
 */
export async function answerForm<T>(
  option: string,
  text: (answer: T) => string,
  others?: readonly string[],
): Promise<(answer: T) => string> {
  if (option === '') return text;
  const { structuredOutput } = await import('./structured-output.ts');
  return structuredOutput(option, others);
}

/** Findings as text, in color on a terminal unless NO_COLOR is set. */
export async function findingsForm(): Promise<(findings: readonly Finding[]) => string> {
  const { findingsText } = await import('../../shared/diagnosis/finding.ts');
  const color = process.stdout.isTTY === true && (process.env.NO_COLOR ?? '') === '';
  return (findings) => findingsText(findings, { color });
}
