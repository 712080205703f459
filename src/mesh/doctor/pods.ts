/**
 * The findings of the checks that run inside the Pods of clustermesh-apiserver: the network, TLS, users and the local etcd as these
 * Pods see them.
 *
 * They come as `{"findings": […]}` from a program in another cluster, hence the bounds and the checks of each field.
 */
import type { Finding, Verdict } from '../../shared/diagnosis/finding.ts';
import { asError } from '../../shared/errors.ts';
import { type JsonRecord, recordOf } from '../../shared/kubernetes/objects/json.ts';
import { printable } from '../../shared/printable.ts';
import { recordsOf } from '../addresses.ts';
import type { Cluster } from '../cluster.ts';
import { MAX_TEXT_LENGTH, undecided } from './catalogue.ts';
import type { Member } from './facts.ts';
import { kubectl, objectOf } from './subjects.ts';

/** Replicas of a cluster whose checks are run. */
const MAX_PODS = 5;
/** Findings of one Pod. */
const MAX_FINDINGS = 500;
/** Characters of the ID of a check, and of a group. */
const MAX_NAME_LENGTH = 60;

const VERDICTS: readonly Verdict[] = ['ok', 'warning', 'error', 'unknown'];

export interface PodCheckCommand {
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
}

export interface PodCheckResult {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, whatever its status. Rejects where it cannot be run or does not end in time. */
export type RunInPod = (cluster: Cluster, command: PodCheckCommand) => Promise<PodCheckResult>;

/** Never rejects: a Pod whose checks cannot be run has one finding that says why. */
export async function podFindings(
  member: Member,
  run: ((command: PodCheckCommand) => Promise<PodCheckResult>) | undefined,
): Promise<readonly Finding[]> {
  if (run === undefined || member.pods === 'unread') return [];
  const commands = member.pods.flatMap(commandFor).slice(0, MAX_PODS);
  const found = await Promise.all(commands.map((command) => onePod(member, command, run)));
  return found.flat();
}

/** None where the container is not running. */
function commandFor({ metadata, status }: JsonRecord): readonly PodCheckCommand[] {
  const running = recordsOf(recordOf(status).containerStatuses)
    .filter(({ state }) => recordOf(state).running !== undefined)
    .map(({ name }) => name);
  const pod = String(recordOf(metadata).name);
  const command = (group: string) => ['/usr/bin/clustermesh-apiserver', group, 'doctor', '--output=json'];
  if (running.includes('kvstoremesh')) return [{ pod, container: 'kvstoremesh', command: command('kvstoremesh-dbg') }];
  return running.includes('apiserver') ? [{ pod, container: 'apiserver', command: command('clustermesh-dbg') }] : [];
}

async function onePod(
  member: Member,
  command: PodCheckCommand,
  run: (command: PodCheckCommand) => Promise<PodCheckResult>,
): Promise<readonly Finding[]> {
  const { pod, container } = command;
  const subject = objectOf(member, 'Pod', pod);
  const unread = (evidence: string) => {
    const remedy = `run it there: ${kubectl(member, `exec ${pod} --container=${container} -- ${command.command.slice(0, -1).join(' ')}`)}; --pods=false leaves it out`;
    return [undecided('pod-checks', subject, evidence, remedy)];
  };
  try {
    const { stdout, stderr } = await run(command);
    const findings = parseFindings(stdout);
    if (findings === undefined) return unread(`the checks inside the Pod have no result: ${stderr.trim() || 'no output'}`);
    return findings.map((finding) => ({ ...finding, subject: printable(`${subject}: ${finding.subject}`, MAX_TEXT_LENGTH) }));
  } catch (thrown) {
    return unread(`the checks inside the Pod cannot be run: ${asError(thrown).message}`);
  }
}

/** The findings of an output, each field bounded and printable; undefined where it is none. */
function parseFindings(text: string): readonly Finding[] | undefined {
  const { findings } = recordOf(parsed(text));
  if (!Array.isArray(findings)) return undefined;
  return recordsOf(findings.slice(0, MAX_FINDINGS)).flatMap(({ check, group, verdict, subject, evidence, remedy }) => {
    const known = VERDICTS.find((each) => each === verdict);
    const isWhole = [check, group, subject, evidence, remedy].every((each) => typeof each === 'string');
    if (known === undefined || !isWhole || !/^[a-z0-9-]{1,60}$/.test(String(check))) return [];
    return [
      {
        check: String(check),
        group: printable(String(group), MAX_NAME_LENGTH),
        verdict: known,
        subject: printable(String(subject), MAX_TEXT_LENGTH),
        evidence: printable(String(evidence), MAX_TEXT_LENGTH),
        remedy: printable(String(remedy), MAX_TEXT_LENGTH),
      },
    ];
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
