/** Runs a reflector for each kind of Kubernetes objects, as a job. */

import type { KubeConnection } from '../../shared/kubernetes/connection/connection.ts';
import { type Resource, resourceName } from '../../shared/kubernetes/objects/resources.ts';
import type { ReflectorEvent } from '../../shared/kubernetes/reflector/observer.ts';
import { type ResourceHandler, runReflector } from '../../shared/kubernetes/reflector/reflector.ts';
import type { JobGroup } from '../../shared/process/jobs.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { Clock } from '../../shared/time/clock.ts';
import type { KubernetesHealth } from './health.ts';
import type { KubernetesMetrics } from './metrics.ts';

export interface InformersOptions {
  readonly connection: KubeConnection;
  readonly jobs: JobGroup;
  readonly metrics: KubernetesMetrics;
  readonly health: KubernetesHealth;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Kind<T> {
  readonly resource: Resource;
  readonly project: (raw: unknown) => T;
}

export class Informers {
  readonly options: InformersOptions;

  constructor(options: InformersOptions) {
    this.options = options;
  }

  /** Keeps `handler` equal to all objects of `kind` until the jobs are stopped. `onEvent` receives the events of the reflector. */
  follow<T>(kind: Kind<T>, handler: ResourceHandler<T>, onEvent?: (event: ReflectorEvent) => void): void {
    const { connection, jobs, metrics, health, clock, log } = this.options;
    const [count, judge] = [metrics.observe(kind.resource), health.observe(kind.resource)];
    const observer = (event: ReflectorEvent) => {
      count(event);
      judge(event);
      onEvent?.(event);
    };
    jobs.startJob(`reflector of ${resourceName(kind.resource)}`, (signal) =>
      runReflector({ ...kind, connection, handler, observer, clock, log, signal }),
    );
  }
}
