/**
 * What the doctor says about the selector of endpoints: it is wrong, or it selects none. How many are exported is what the daemon
 * counts (`export_endpoints`); without a selector, and in a replica that does not lead, it has no such series.
 */
import type { Finding } from '../../shared/diagnosis/finding.ts';
import { findingOf, problem } from '../../shared/diagnosis/pod-checks.ts';
import { FlagError } from '../../shared/flags/error.ts';
import { parseLabelSelector } from '../export/label-selector.ts';

const SUBJECT = '--export-endpoint-selector';
const SERIES = 'cilium_clustermesh_apiserver_export_endpoints{';

export interface SelectorSources {
  /** The flag of the daemon; '' where it is not known. */
  readonly selector: string;
  /** The series of the daemon; undefined where they cannot be read. */
  readonly metrics: string | undefined;
}

export function selectorFindings({ selector, metrics }: SelectorSources): readonly Finding[] {
  const told = (evidence: string, remedy: string) => [findingOf(problem('export-selector', evidence, remedy), SUBJECT)];
  try {
    parseLabelSelector(selector);
  } catch (thrown) {
    if (!(thrown instanceof FlagError)) throw thrown;
    return told(`${thrown.message}; the daemon does not start with it`, 'correct the selector');
  }
  const exported = countOf(metrics, 'exported');
  const heldBack = countOf(metrics, 'held_back');
  if (exported !== 0 || heldBack === undefined || heldBack === 0) return [];
  const endpoints = new Intl.NumberFormat('en-US').format(heldBack);
  return told(
    `it matches none of ${endpoints} endpoints: no address of a Pod is exported`,
    'compare it with the labels of the Pods',
  );
}

/** Undefined where `metrics` does not have it. */
function countOf(metrics: string | undefined, decision: string): number | undefined {
  const lines = metrics?.split('\n') ?? [];
  const line = lines.find((each) => each.startsWith(SERIES) && each.includes(`decision="${decision}"`));
  const count = Number(line?.slice(line.lastIndexOf(' ') + 1));
  return Number.isFinite(count) ? count : undefined;
}
