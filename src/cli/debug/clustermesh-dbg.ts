/** `clustermesh-dbg`: why the `clustermesh` daemon does not reach its etcd, and what it would export. */
import { exportPlanFlagTable } from '../../apiserver/plan/flags.ts';
import { interruption } from '../../shared/process/interruption.ts';
import { answerForm } from '../command/answer-form.ts';
import { commandGroup } from '../command/command-group.ts';
import { flagCommand } from '../command/flag-command.ts';
import { print } from '../command/output.ts';
import { requireKubernetes } from '../command/require-kubernetes.ts';
import { localDoctor } from './doctor.ts';
import { localTroubleshootFlagTable } from './flags.ts';

const NAME = 'clustermesh-dbg';

const troubleshoot = flagCommand({
  name: `${NAME} troubleshoot`,
  summary: 'Check the connection to the local etcd step by step',
  flags: localTroubleshootFlagTable,
  async run({ values: { etcdConfig, timeoutMs } }) {
    // Loaded here, so that no other command pays for it.
    const { etcdCheckTools: tools } = await import('./etcd-check-tools.ts');
    const { troubleshootLocal } = await import('../../shared/troubleshoot/troubleshoot.ts');
    for await (const text of troubleshootLocal(etcdConfig, { tools, timeoutMs })) print(text);
    return 0;
  },
});

const exportPlan = flagCommand({
  name: `${NAME} export-plan`,
  summary: 'Show what a selector of endpoints would export and withdraw, by namespace; nothing is changed',
  flags: exportPlanFlagTable,
  examples: [
    `${NAME} export-plan --selector=clustermesh.cilium.io/sync=true`,
    `${NAME} export-plan --selector='env in (prod),!internal' --k8s-kubeconfig-path=$HOME/.kube/config -o json`,
  ],
  async run({ values }) {
    requireKubernetes(values, 'this command reads Kubernetes objects');
    const { exportPlanText } = await import('../../apiserver/plan/text.ts');
    const format = await answerForm(values.output, exportPlanText);
    const { readExportPlan } = await import('../../apiserver/plan/read.ts');
    print(format(await readExportPlan(values, interruption())));
    return 0;
  },
});

export const clustermeshDbg = commandGroup({
  name: NAME,
  summary: 'Diagnose the connection of the clustermesh daemon to its etcd, and show what it would export',
  commands: { doctor: localDoctor(NAME), 'export-plan': exportPlan, troubleshoot },
});
