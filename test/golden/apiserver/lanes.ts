/**
 * Kubernetes APIs for scenarios that run side by side: a scenario has one to itself.
 */
import { type KubernetesProvider, type ProviderName, startKubernetes } from '../../support/kubernetes/kubernetes-provider.ts';

export interface Lanes {
  /** Runs `work` with an exclusive API, as soon as there is one. */
  use<T>(work: (kubernetes: KubernetesProvider) => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

export async function openLanes(name: ProviderName, count: number): Promise<Lanes> {
  const all = await Promise.all(Array.from({ length: count }, () => startKubernetes(name)));
  const free = [...all];
  const waiting: ((kubernetes: KubernetesProvider) => void)[] = [];
  const release = (kubernetes: KubernetesProvider) => {
    const next = waiting.shift();
    if (next === undefined) free.push(kubernetes);
    else next(kubernetes);
  };
  return {
    async use(work) {
      const kubernetes = free.pop() ?? (await new Promise<KubernetesProvider>((resolve) => waiting.push(resolve)));
      try {
        return await work(kubernetes);
      } finally {
        release(kubernetes);
      }
    },
    async stop() {
      await Promise.all(all.map((kubernetes) => kubernetes.stop()));
    },
  };
}
