/** The `doctor` commands: what is wrong with the etcds of a Pod, with evidence and remedy. */
import type { Finding } from '../../shared/diagnosis/finding.ts';
import type { DoctorOptions } from '../../shared/doctor/doctor.ts';
import { asError } from '../../shared/errors.ts';
import type { FlagValues } from '../../shared/flags/table.ts';
import { MAX_STATUS_TEXT_LENGTH, STATUS_TIMEOUT_MS } from '../../shared/limits.ts';
import { printable } from '../../shared/printable.ts';
import { answerForm, findingsForm } from '../command/answer-form.ts';
import type { Command } from '../command/command.ts';
import { flagCommand } from '../command/flag-command.ts';
import { print } from '../command/output.ts';
import { exportDoctorFlagTable, type localDoctorFlagTable, meshDoctorFlagTable, ownClusterName } from './flags.ts';

const EXIT_ERRORS = 1;
/** HTTP. */
const NOT_FOUND = 404;

/** Characters of a member of a finding: a line of the output has fewer. */
const MAX_FINDING_TEXT_LENGTH = 8_000;

/** Checks the local etcd, and the selector of endpoints. `group`: the command that it belongs to. */
export function localDoctor(group: string): Command {
  return flagCommand({
    name: `${group} doctor`,
    summary: 'Name what is wrong with the local etcd, its certificates and the selector of endpoints, and what to do',
    flags: exportDoctorFlagTable,
    async run({ values }) {
      const report = await reporter(values.output);
      // Loaded here, so that no other command pays for it.
      const [{ examineLocal }, { metricsText }, { selectorFindings }] = await Promise.all([
        import('../../shared/doctor/doctor.ts'),
        import('../../shared/doctor/etcd-series.ts'),
        import('../../apiserver/plan/selector-findings.ts'),
      ]);
      const { exportEndpointSelector: selector, daemonMetrics } = values;
      const asked = metricsText(daemonMetrics, AbortSignal.timeout(STATUS_TIMEOUT_MS));
      const [findings, metrics] = await Promise.all([optionsOf(values).then(examineLocal), asked]);
      return report([...selectorFindings({ selector, metrics }), ...findings]);
    },
  });
}

/** Checks the remote clusters and the import policy too. */
export function meshDoctor(group: string): Command {
  return flagCommand({
    name: `${group} doctor`,
    summary: 'Name what is wrong with the etcds of the remote clusters and the local one, and what to do',
    flags: meshDoctorFlagTable,
    operands: '[clusters...]',
    async run({ values, operands: clusters }) {
      const report = await reporter(values.output);
      const { examineMesh } = await import('../../shared/doctor/doctor.ts');
      const options = { ...(await optionsOf(values)), directory: values.clustermeshConfig, clusters };
      const [findings, policy] = await Promise.all([examineMesh(options), policyFindings(values.host)]);
      return report([...policy, ...findings]);
    },
  });
}

/** What the daemon says of its import policy; nothing where it is the original, which has none. */
async function policyFindings(host: string): Promise<readonly Finding[]> {
  const [{ fetchAnswer, StatusUnavailableError }, { findingOf, problem }, { z }] = await Promise.all([
    import('../../kvstoremesh/status/status-client.ts'),
    import('../../shared/diagnosis/pod-checks.ts'),
    import('zod'),
  ]);
  const unknown = (cause: string, remedy: string) => {
    const evidence = `${cause} The import policy and the limits of remote clusters are not checked`;
    return [findingOf(problem('import-policy-file', evidence, remedy, 'unknown'), printable(host, MAX_STATUS_TEXT_LENGTH))];
  };
  const text = z.string().max(MAX_FINDING_TEXT_LENGTH);
  const finding = z.object({
    check: text,
    group: text,
    verdict: z.enum(['warning', 'error', 'unknown']),
    subject: text,
    evidence: text,
    remedy: text,
  });
  try {
    const parsed = z.object({ problems: z.array(finding) }).safeParse(await fetchAnswer(host, '/v1/import-policy'));
    return parsed.success ? parsed.data.problems : unknown('its answer is not that of kvstoremesh.', 'correct --host');
  } catch (thrown) {
    if (thrown instanceof StatusUnavailableError && thrown.httpStatus === NOT_FOUND) return [];
    const reason = printable(asError(thrown).message, MAX_STATUS_TEXT_LENGTH);
    return unknown(reason.endsWith('?') ? reason : `${reason}.`, 'start kvstoremesh, or set --host');
  }
}

async function optionsOf(values: FlagValues<typeof localDoctorFlagTable>): Promise<DoctorOptions> {
  const { etcdConfig: localConfig, timeoutMs, clusterName, clusterId, etcdMetrics: metricsUrl } = values;
  const { etcdCheckTools: tools } = await import('./etcd-check-tools.ts');
  const name = clusterName || ownClusterName();
  const own = { ...(name === undefined ? {} : { name }), ...(clusterId === 0 ? {} : { id: clusterId }) };
  return { tools, timeoutMs, localConfig, metricsUrl, own };
}

/** Prints the findings in the form that `output` names, and returns the exit status. Rejects with FlagError where there is no such form. */
async function reporter(output: string): Promise<(findings: readonly Finding[]) => number> {
  const text = await findingsForm();
  const format = await answerForm(output, (answer: { readonly findings: readonly Finding[] }) => text(answer.findings));
  return (findings) => {
    print(format({ findings }));
    return findings.some(({ verdict }) => verdict === 'error') ? EXIT_ERRORS : 0;
  };
}
