/** The `doctor` commands: what is wrong with the etcds of a Pod, with evidence and remedy. */
import type { Finding } from '../../shared/diagnosis/finding.ts';
import type { DoctorOptions } from '../../shared/doctor/doctor.ts';
import type { FlagValues } from '../../shared/flags/table.ts';
import { answerForm, findingsForm } from '../command/answer-form.ts';
import type { Command } from '../command/command.ts';
import { flagCommand } from '../command/flag-command.ts';
import { print } from '../command/output.ts';
import { localDoctorFlagTable, meshDoctorFlagTable, ownClusterName } from './flags.ts';

const EXIT_ERRORS = 1;

/** Checks the local etcd. `group`: the command that it belongs to. */
export function localDoctor(group: string): Command {
  return flagCommand({
    name: `${group} doctor`,
    summary: 'Name what is wrong with the local etcd and its certificates, and what to do',
    flags: localDoctorFlagTable,
    async run({ values }) {
      const report = await reporter(values.output);
      // Loaded here, so that no other command pays for it.
      const { examineLocal } = await import('../../shared/doctor/doctor.ts');
      return report(await examineLocal(await optionsOf(values)));
    },
  });
}

/** Checks the remote clusters too. */
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
      return report(await examineMesh(options));
    },
  });
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
