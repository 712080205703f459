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
  title: 'Start two connected clusters',
  async run(stage) {
    const { mesh } = stage;
    stage.explain(
      'In each cluster the apiserver exports Kubernetes objects to etcd, and kvstoremesh mirrors the etcd of the other ' +
        "cluster's etcd next to it. Agents read nothing but the etcd of their own cluster.",
    );
    await stage.check('apiserver and kvstoremesh of both clusters are ready', async () => {
      const times = mesh.clusters.map(async ({ name, apiserver, kvstoremesh }) => {
        const [first, second] = await Promise.all([apiserver.start(), kvstoremesh.start()]);
        return `${name} after ${duration(Math.max(first, second))}`;
      });
      return (await Promise.all(times)).join(', ');
    });
    await stage.check('each etcd has the exports of the other cluster', async () => {
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
    stage.explain('The annotation service.cilium.io/global: "true" shares a service with the mesh.');
    await stage.check('each cluster sees its own 2 pods and the 2 of the other', () => deployInBoth(stage, REBEL_BASE));
    stage.showServices();
  },
};

const deployLocal: Step = {
  title: 'Deploy rebel-base-local, with service.cilium.io/affinity: "local"',
  async run(stage) {
    stage.explain('Agents implement the preference for local pods: the exported state is the same as without affinity.');
    await stage.check('each cluster sees the pods of both', () => deployInBoth(stage, LOCAL));
    stage.showServices();
  },
};

const deployPrivate: Step = {
  title: 'Deploy rebel-base-private, with service.cilium.io/shared: "false"',
  async run(stage) {
    stage.explain('A later change of rebel-base, which arrives, proves that this service does not.');
    await stage.check('neither cluster sees that of the other', async () => {
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
export const REMOVE_STEP = remove;
