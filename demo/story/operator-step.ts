/** The last step: a fault, and what names it to an operator. */
import { execFile } from 'node:child_process';
import { freePort } from '../mesh/processes/free-port.ts';
import { until } from '../mesh/until.ts';
import { type Stage, type Step, UnexpectedError } from './stage.ts';
import { duration } from './terminal.ts';

/** The alert of the chart for a remote cluster that is not mirrored. */
const ALERT = 'ClusterMeshRemoteNotReady';

interface Finding {
  readonly check: string;
  readonly verdict: string;
  readonly subject: string;
  readonly evidence: string;
  readonly remedy: string;
}

export const OPERATOR_STEP: Step = {
  title: 'Configure a wrong port for the etcd of east, and see what an operator of west is told',
  async run(stage) {
    const { east, west } = stage.mesh;
    const count = stage.countEvents();
    const port = await freePort();
    await stage.check('the status page names it', async () => {
      await west.addRemote(east.name, port);
      return shownOnPage(stage, (reasons) => reasons.find((reason) => reason.includes(String(port))));
    });
    await stage.check('the doctor names it, and what to do', () => doctorLine(stage));
    const prometheus = await stage.mesh.prometheusOf(west);
    if (prometheus === undefined) stage.explain('No Prometheus in the PATH: the alert is not shown.');
    else {
      stage.explain(`The alerts of the chart wait for minutes; here they fire at once: ${prometheus.url}/alerts`);
      await stage.check('an alert fires', async () => {
        let summary = '';
        const isFiring = async () => {
          const alert = (await prometheus.alerts()).find(({ labels, state }) => labels.alertname === ALERT && state === 'firing');
          summary = alert?.annotations.summary ?? '';
          return alert === undefined ? `${ALERT} does not fire` : undefined;
        };
        await until(isFiring, { signal: stage.mesh.signal });
        return `${ALERT}: ${summary}`;
      });
    }
    await stage.check('with the right port it is mirrored again, and agents were not affected', async () => {
      await west.addRemote(east.name, stage.mesh.linkPort(east));
      const tookMs = await until(
        async () => ((await stage.mesh.statusAt(west)).ready ? undefined : 'west does not mirror east'),
        { signal: stage.mesh.signal },
      );
      await stage.caughtUp();
      const events = count(west);
      if (events.length > 0)
        throw new UnexpectedError(`unexpected: ${events.map(({ type, key }) => `${type} ${key}`).join(', ')}`);
      return `after ${duration(tookMs)}; not one watch event in west's etcd`;
    });
  },
};

/** Resolves with the line of the page that `find` chooses. */
async function shownOnPage({ mesh }: Stage, find: (reasons: readonly string[]) => string | undefined): Promise<string> {
  let line: string | undefined;
  const tookMs = await until(
    async () => {
      const answer = await fetch(new URL('v1/page', mesh.west.pageUrl), { signal: mesh.signal });
      const { remotes } = (await answer.json()) as { readonly remotes: readonly { readonly reasons?: readonly string[] }[] };
      line = find(remotes.flatMap(({ reasons = [] }) => reasons));
      return line === undefined ? 'the page does not show it' : undefined;
    },
    { signal: mesh.signal },
  );
  return `after ${duration(tookMs)}: ${line ?? ''}`;
}

/** What `kvstoremesh-dbg doctor` finds wrong with east, in one line. The etcds of the demo have no authentication, which it finds too. */
async function doctorLine({ mesh }: Stage): Promise<string> {
  const { command, args } = mesh.west.doctor;
  // The exit status is 1 where it finds an error.
  const output = await new Promise<string>((resolve) => {
    execFile(command, [...args, '-o', 'json'], { signal: mesh.signal }, (_, stdout, stderr) => resolve(stdout || stderr));
  });
  const { findings } = JSON.parse(output) as { readonly findings: readonly Finding[] };
  const errors = findings.filter(({ verdict, subject }) => verdict === 'error' && subject === mesh.east.name);
  const [found] = errors;
  if (found === undefined || errors.length > 1) throw new UnexpectedError(`findings about east: ${JSON.stringify(errors)}`);
  return `${found.check}: ${found.evidence} → ${found.remedy}`;
}
