/** The steps about services: what is seen of them, and how fast a change is. */
import type { ServiceSpec } from '../mesh/workload/manifests.ts';
import type { Stage, Step } from './stage.ts';
import { duration } from './terminal.ts';

export const REBEL_BASE: ServiceSpec = { name: 'rebel-base', shared: true };
export const LOCAL: ServiceSpec = { name: 'rebel-base-local', affinity: 'local', shared: true };
const PRIVATE: ServiceSpec = { name: 'rebel-base-private', shared: false };
const PODS = 2;

const deployInBoth = (stage: Stage, spec: ServiceSpec) =>
  stage.change(...stage.mesh.clusters.map(({ workload }) => workload.deploy(spec, PODS)));

const start: Step = {
  title: 'Start two clusters that know each other',
  async run(stage) {
    const { mesh } = stage;
    stage.explain(
      'In each cluster the apiserver writes what Kubernetes knows into the etcd, and kvstoremesh copies the other ' +
        "cluster's etcd next to it. Agents read nothing but the etcd of their own cluster.",
    );
    await stage.check('apiserver and kvstoremesh of both clusters are ready', async () => {
      const times = mesh.clusters.map(async ({ name, apiserver, kvstoremesh }) => {
        const [first, second] = await Promise.all([apiserver.start(), kvstoremesh.start()]);
        return `${name} after ${duration(Math.max(first, second))}`;
      });
      return (await Promise.all(times)).join(', ');
    });
    await stage.check('each etcd holds what the other cluster shows', async () => {
      await stage.arrival(async () => performance.now());
      const counts = mesh.clusters.map((cluster) => `${cluster.name} sees ${nodes(mesh.nodesKnownTo(cluster))}`);
      return counts.join(', ');
    });
  },
};

function nodes(count: number): string {
  return count === 1 ? '1 node' : `${count} nodes`;
}

const deployGlobal: Step = {
  title: 'Deploy rebel-base with 2 pods in each cluster, as a global service',
  async run(stage) {
    stage.explain('The annotation service.cilium.io/global: "true" gives a service to the mesh.');
    await stage.check('each cluster sees its own 2 pods and the 2 of the other', () => deployInBoth(stage, REBEL_BASE));
    stage.showServices();
  },
};

const deployLocal: Step = {
  title: 'Deploy rebel-base-local, with service.cilium.io/affinity: "local"',
  async run(stage) {
    stage.explain('Preferring the own pods is the decision of the agents: the exported state is the same as without affinity.');
    await stage.check('each cluster sees both sides of it too', () => deployInBoth(stage, LOCAL));
    stage.showServices();
  },
};

const deployPrivate: Step = {
  title: 'Deploy rebel-base-private, with service.cilium.io/shared: "false"',
  async run(stage) {
    stage.explain('That nothing arrives is proven by a later change of rebel-base, which does.');
    await stage.check('neither cluster sees it of the other', async () => {
      await deployInBoth(stage, PRIVATE);
      const marks = stage.mesh.clusters.map(({ workload }) => workload.mark(REBEL_BASE.name, 'later'));
      return `the later change is ${await stage.change(...marks)}`;
    });
    stage.showServices();
  },
};

const scale: Step = {
  title: 'Scale rebel-base in east from 2 to 3 pods',
  async run(stage) {
    await stage.check('west sees all 3', () => stage.change(stage.mesh.east.workload.scaleUp(REBEL_BASE.name, 1)));
    stage.showServices();
  },
};

const deletePod: Step = {
  title: 'Delete a pod of rebel-base in west',
  async run(stage) {
    await stage.check('east sees only the other one', () => stage.change(stage.mesh.west.workload.deletePod(REBEL_BASE.name)));
    stage.showServices();
  },
};

const remove: Step = {
  title: 'Delete rebel-base in both clusters',
  async run(stage) {
    await stage.check('it is gone everywhere', () =>
      stage.change(...stage.mesh.clusters.map(({ workload }) => workload.remove(REBEL_BASE.name))),
    );
    stage.showServices();
  },
};

export const SERVICE_STEPS: readonly Step[] = [start, deployGlobal, deployLocal, deployPrivate, scale, deletePod];
export const LAST_STEP = remove;
