/** Commands for a workstation with a kubeconfig, also as `kubectl clustermesh`. */

import type { MeshReport } from '../mesh/connect/changes.ts';
import {
  connectFlagTable,
  disconnectFlagTable,
  enableFlagTable,
  quarantineFlagTable,
  statusFlagTable,
  uiFlagTable,
} from '../mesh/flags.ts';
import type { StatusReport } from '../mesh/status/read.ts';
import { FlagError } from '../shared/flags/error.ts';
import { interruption } from '../shared/process/interruption.ts';
import { systemClock } from '../shared/time/clock.ts';
import { answerForm } from './command/answer-form.ts';
import { flagCommand } from './command/flag-command.ts';
import { print } from './command/output.ts';
import { examine } from './doctor.ts';

// What they run is loaded there, so that no other command pays for it.

/** Cursor to the first line, and everything is erased. */
const CLEAR_SCREEN = '\u001b[H\u001b[2J';
/** Between two reads of `status --watch`, after each. */
const WATCH_INTERVAL_MS = 2_000;

export const connect = flagCommand({
  name: 'connect',
  summary: 'Connect this cluster with others; the exit status is 1 after a failed check, 2 if Helm manages the Secrets',
  flags: connectFlagTable,
  examples: [
    'connect --context=east --destination-context=west',
    'connect --context=east --destination-context=west,north --connection-mode=mesh',
    'connect --context=east --destination-context=west --dry-run=client',
  ],
  async run({ values }) {
    if (values.check) return examine(values);
    const { connect } = await import('../mesh/connect/connect.ts');
    return reported(values.output, () => connect(values, surroundings()));
  },
});

export const disconnect = flagCommand({
  name: 'disconnect',
  summary: 'Disconnect this cluster from others; the exit status is 2 if Helm manages the Secrets',
  flags: disconnectFlagTable,
  examples: ['disconnect --context=east --destination-context=west', 'disconnect --context=east --destination-name=west --force'],
  async run({ values }) {
    const { disconnect } = await import('../mesh/connect/disconnect.ts');
    return reported(values.output, () => disconnect(values, surroundings()));
  },
});

export const status = flagCommand({
  name: 'status',
  summary: 'Show to which clusters this cluster is connected; the exit status is 1 if something is not ready',
  flags: statusFlagTable,
  examples: ['status --context=east', 'status --context=east --wait --wait-duration=5m', 'status --context=east --watch'],
  async run({ values }) {
    const { output, namespace } = values;
    const [{ status }, { statusText }] = await Promise.all([import('../mesh/status/read.ts'), import('../mesh/status/text.ts')]);
    const wide = output === 'wide';
    const text = (report: StatusReport) => statusText(report, { namespace, wide });
    const format = await answerForm(wide ? '' : output, text, ['wide']);
    const onWait = (elapsedMs: number, problems: readonly string[]) => {
      process.stderr.write(
        `⌛ Waiting (${Math.round(elapsedMs / 1_000)}s) for clusters to be connected: ${problems.join(', ')}\n`,
      );
    };
    const show = (report: StatusReport) => {
      print(format(report));
      return report.ready ? 0 : 1;
    };
    if (!values.watch) return show(await status(values, { ...surroundings(), clock: systemClock, onWait }));
    const signal = interruption();
    let last = 0;
    try {
      for (;;) {
        const report = await status(values, { signal, clock: systemClock, onWait });
        if (format === text) print(process.stdout.isTTY ? CLEAR_SCREEN : `--- ${new Date().toISOString()}\n`);
        last = show(report);
        await systemClock.sleep(WATCH_INTERVAL_MS, signal);
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
      return last;
    }
  },
});

export const quarantine = flagCommand({
  name: 'quarantine',
  summary: 'Freeze or withdraw the mirror of a remote cluster, or release it',
  flags: quarantineFlagTable,
  operands: 'CLUSTER',
  examples: [
    'quarantine west --context=east --reason="odd endpoints"',
    'quarantine west --context=east --withdraw',
    'quarantine west --context=east --release',
  ],
  async run({ values, operands: [remote, ...more] }) {
    if (remote === undefined || more.length > 0) throw new FlagError('expected the argument CLUSTER');
    const { quarantine, quarantineText } = await import('../mesh/verbs/quarantine.ts');
    const format = await answerForm(values.output, quarantineText);
    print(format(await quarantine(remote, values, { ...surroundings(), clock: systemClock })));
    return 0;
  },
});

export const enable = flagCommand({
  name: 'enable',
  summary: 'Print the values that start clustermesh-apiserver in this cluster, or apply them with helm',
  flags: enableFlagTable,
  examples: ['enable --context=east', 'enable --context=east --service-type=LoadBalancer --helm'],
  async run({ values }) {
    const { enable, enableText } = await import('../mesh/verbs/enable.ts');
    const format = await answerForm(values.output, enableText);
    print(format(await enable(values, { signal: interruption() })));
    return 0;
  },
});

export const ui = flagCommand({
  name: 'ui',
  summary: 'Show the page of kvstoremesh through a port of this machine, until it is interrupted',
  flags: uiFlagTable,
  examples: ['ui --context=east', 'ui --context=east --open'],
  async run({ values }) {
    const { ui } = await import('../mesh/verbs/ui.ts');
    const signal = interruption();
    const onReady = (url: string, pod: string) => {
      print(`${url}\n`);
      process.stderr.write(`the API of Pod ${pod}; end with Ctrl-C\n`);
      if (values.open) void openInBrowser(url);
    };
    const onFailure = ({ message }: Error) => {
      process.stderr.write(`${message}\n`);
    };
    await ui(values, { signal, onReady, onFailure });
    return 0;
  },
});

/** A browser that does not start does not matter: the address was printed. */
async function openInBrowser(url: string): Promise<void> {
  const { spawn } = await import('node:child_process');
  const child = spawn(process.platform === 'darwin' ? 'open' : 'xdg-open', [url], { stdio: 'ignore', detached: true });
  child.on('error', ({ message }) => process.stderr.write(`cannot open a browser: ${message}\n`));
  child.unref();
}

/** Prints what `change` reports, and resolves with the exit status. A wrong form is refused before anything is changed. */
async function reported(output: string, change: () => Promise<MeshReport>): Promise<number> {
  const [{ MESH_STATUS }, { reportText }] = await Promise.all([
    import('../mesh/connect/changes.ts'),
    import('../mesh/connect/report-text.ts'),
  ]);
  const format = await answerForm(output, reportText);
  const report = await change();
  print(format(report));
  return MESH_STATUS[report.verdict];
}

/** A write is atomic, and another run completes what a signal interrupts. */
function surroundings() {
  return { signal: new AbortController().signal };
}
