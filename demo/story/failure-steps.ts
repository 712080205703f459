/** The steps about failures: a link that is cut, daemons that are killed. */
import type { ObservedEvent } from '../mesh/etcd-contents/etcd-observer.ts';
import { eventsBetween, expectedState } from '../mesh/etcd-contents/exported-state.ts';
import { until } from '../mesh/until.ts';
import { REBEL_BASE } from './service-steps.ts';
import { type Step, UnexpectedError } from './stage.ts';
import { duration } from './terminal.ts';

/** A daemon reports a loss after half a minute of silence at most, and some seconds for another request. */
const LOSS_NOTICED_WITHIN_MS = 90_000;

const cutLink: Step = {
  title: 'Cut the link between the clusters, and scale rebel-base in east to 4 pods',
  async run(stage) {
    const { mesh } = stage;
    const count = stage.countEvents();
    await stage.check('east has 4 pods, west keeps the 3 it knew', async () => {
      mesh.cutLinks();
      await stage.change(mesh.east.workload.scaleUp(REBEL_BASE.name, 1));
      return '';
    });
    stage.showServices('The link is cut: ○ are the last known pods.');
    stage.explain(
      'kvstoremesh reports a lost connection after 15 seconds of silence, which a restart of the other side may take.',
    );
    await stage.check('GET /v1/cluster reports not connected, in both clusters', async () => {
      const tookMs = await until(
        async () => {
          const statuses = await Promise.all(mesh.clusters.map((cluster) => mesh.statusAt(cluster)));
          return statuses.some(({ connected }) => connected) ? 'the status is still connected' : undefined;
        },
        { signal: mesh.signal, withinMs: LOSS_NOTICED_WITHIN_MS },
      );
      return `after ${duration(tookMs)}`;
    });
    await stage.check('all known keys are kept', async () => {
      await stage.caughtUp();
      assertNoEvents(count(mesh.west));
      return "not one watch event in west's etcd";
    });
  },
};

const restoreLink: Step = {
  title: 'Restore the link',
  async run(stage) {
    const { mesh } = stage;
    await stage.check('west sees all 4 pods', () =>
      stage.arrival(async () => {
        mesh.restoreLinks();
        return performance.now();
      }),
    );
    await stage.check('GET /v1/cluster reports connected and ready, in both clusters', async () => {
      const tookMs = await until(
        async () => {
          const statuses = await Promise.all(mesh.clusters.map((cluster) => mesh.statusAt(cluster)));
          const waiting = statuses.find(({ connected, ready }) => !connected || !ready);
          return waiting === undefined ? undefined : `not connected and ready: ${waiting.reason ?? 'no reason given'}`;
        },
        { signal: mesh.signal },
      );
      return `after another ${duration(tookMs)}`;
    });
    stage.showServices();
  },
};

const killKvstoremesh: Step = {
  title: 'Kill the kvstoremesh of west with kill -9, and restart it',
  async run(stage) {
    const { west } = stage.mesh;
    stage.explain('Only keys that agents use are counted: cilium/state, cilium/cache and cilium/cluster-config.');
    const count = stage.countEvents();
    await stage.check('it is ready again', async () => {
      await west.kvstoremesh.process.kill();
      return `after ${duration(await west.kvstoremesh.start())}`;
    });
    await stage.check('it mirrors again, without waiting for the lock of the killed process (a lease of 25 s)', async () => {
      const { mesh } = stage;
      const isMirroring = async () => ((await mesh.statusAt(west)).ready ? undefined : 'west does not mirror east');
      return `after another ${duration(await until(isMirroring, { signal: mesh.signal }))}`;
    });
    await stage.check('the restart caused 0 watch events, agents are not affected', async () => {
      await stage.caughtUp();
      for (const cluster of stage.mesh.clusters) assertNoEvents(count(cluster));
      return "0 in west's etcd, 0 in east's";
    });
  },
};

const killApiserver: Step = {
  title: 'Kill the apiserver of east with kill -9, delete a pod of rebel-base, restart the apiserver',
  async run(stage) {
    const { east, west } = stage.mesh;
    const count = stage.countEvents();
    const before = expectedState(east.workload);
    await stage.check('its keys are unchanged while it is down', async () => {
      await east.apiserver.process.kill();
      await east.workload.deletePod(REBEL_BASE.name)();
      for (const cluster of stage.mesh.clusters) {
        await cluster.observer.caughtUp();
        assertNoEvents(count(cluster));
      }
      return '0 watch events';
    });
    await stage.check('after the restart the deleted pod is removed', () =>
      stage.arrival(async () => {
        const startMs = performance.now();
        await east.apiserver.start();
        return startMs;
      }),
    );
    await stage.check('the restart caused only the events of that change', async () => {
      await stage.caughtUp();
      const after = expectedState(east.workload);
      const expected = eventsBetween(before, after, 'state', east.name);
      assertEvents(count(east), expected);
      assertEvents(count(west), eventsBetween(before, after, 'cache', east.name));
      return `${expected.size} in east's etcd and the same ${expected.size} in west's (${[...expected].map(kindOf).join(', ')})`;
    });
    stage.showServices();
  },
};

/** `put cilium/state/services/v1/east/…` is about the service. */
function kindOf(event: string): string {
  const names: Readonly<Record<string, string>> = {
    services: 'the service',
    endpointslices: 'its endpoint slice',
    ip: "the pod's address",
  };
  const resource = event.split('/')[2] ?? '';
  return names[resource] ?? resource;
}

function assertNoEvents(events: readonly ObservedEvent[]): void {
  assertEvents(events, new Set());
}

/** Exactly one event for each of `expected`. */
function assertEvents(events: readonly ObservedEvent[], expected: ReadonlySet<string>): void {
  const seen = events.map(({ type, key }) => `${type} ${key}`);
  const missing = [...expected].filter((event) => !seen.includes(event)).map((event) => `no event: ${event}`);
  const more = seen
    .filter((event, index) => !expected.has(event) || seen.indexOf(event) < index)
    .map((event) => `unexpected: ${event}`);
  if (missing.length + more.length > 0) throw new UnexpectedError([...missing, ...more].join(', '));
}

export const FAILURE_STEPS: readonly Step[] = [cutLink, restoreLink, killKvstoremesh, killApiserver];
