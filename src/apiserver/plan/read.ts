/** Reads a plan of exports from the live API server, page by page. Nothing is written. */
import { ProgramError } from '../../shared/errors.ts';
import type { KubeConnection } from '../../shared/kubernetes/connection/connection.ts';
import { openFlaggedConnection } from '../../shared/kubernetes/connection/flagged-connection.ts';
import { KUBE_BACKOFF_MIN_MS, KUBE_LIST_PAGE } from '../../shared/kubernetes/limits.ts';
import { namespaceProjection } from '../../shared/kubernetes/objects/projections.ts';
import { NAMESPACES, type Resource } from '../../shared/kubernetes/objects/resources.ts';
import { ShapeError } from '../../shared/kubernetes/objects/shape.ts';
import { listObjects } from '../../shared/kubernetes/reflector/list.ts';
import { silentLogger } from '../../shared/process/log.ts';
import { withDeadline } from '../../shared/time/abort.ts';
import { type Clock, systemClock } from '../../shared/time/clock.ts';
import { endpointKind, IDENTITIES } from '../cilium-kinds.ts';
import { namespaceFilter } from '../export/export-filter.ts';
import { Namespaces } from '../export/namespaces.ts';
import type { ExportPlanFlags } from './flags.ts';
import { ExportPlan, type ExportPlanResult } from './plan.ts';

/** The API server has not answered all requests in time. */
export class ExportPlanTimeoutError extends ProgramError {
  readonly code = 'EXPORT_PLAN_TIMEOUT';
  readonly retriable = true;

  constructor(timeoutMs: number) {
    super(`the Kubernetes API server did not send all objects within ${timeoutMs / 1000} s; raise --timeout`);
  }
}

/** Rejects with a KubeError, with ExportPlanTimeoutError, or with the signal's reason. */
export async function readExportPlan(flags: ExportPlanFlags, signal: AbortSignal): Promise<ExportPlanResult> {
  const clock = systemClock;
  const connection = await openFlaggedConnection(flags, { clock, log: silentLogger });
  const late = () => new ExportPlanTimeoutError(flags.timeoutMs);
  try {
    return await withDeadline((limit) => read(flags, new Reader(connection, clock, limit)), {
      ms: flags.timeoutMs,
      late,
      clock,
      signal,
    });
  } finally {
    await connection.close();
  }
}

async function read(flags: ExportPlanFlags, reader: Reader): Promise<ExportPlanResult> {
  const { exportNamespaces, exportNamespaceSelector, enableCiliumEndpointSlice: usesEndpointSlices } = flags;
  const filter = namespaceFilter(exportNamespaces, exportNamespaceSelector);
  const namespaces = new Namespaces(flags.clustermeshDefaultGlobalNamespace, filter);
  const namespaceOf = namespaceProjection(exportNamespaceSelector.labelNames);
  await reader.list(NAMESPACES, (raw) => {
    const namespace = namespaceOf(raw);
    namespaces.upsert(namespace, { name: namespace.metadata.name });
  });
  const { exportEndpointSelector: present, selector: planned, examples } = flags;
  const plan = new ExportPlan({ namespaces, usesEndpointSlices, present, planned, examples });
  await reader.list(IDENTITIES.resource, (raw) => plan.identity(raw));
  const { resource } = endpointKind(usesEndpointSlices);
  await reader.list(
    resource,
    (raw) => plan.endpoints(raw),
    () => plan.restartEndpoints(),
  );
  return plan.result(reader.malformed);
}

class Reader {
  readonly #connection: KubeConnection;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #malformed = 0;

  constructor(connection: KubeConnection, clock: Clock, signal: AbortSignal) {
    this.#connection = connection;
    this.#clock = clock;
    this.#signal = signal;
  }

  get malformed(): number {
    return this.#malformed;
  }

  async list(resource: Resource, take: (raw: unknown) => void, onRestart: () => void = () => undefined): Promise<void> {
    const before = this.#malformed;
    await listObjects({
      connection: this.#connection,
      resource,
      resourceVersion: '',
      pageSize: KUBE_LIST_PAGE,
      clock: this.#clock,
      signal: this.#signal,
      onObject: (raw) => {
        this.#take(raw, take);
        return true;
      },
      onRestart: () => {
        this.#malformed = before;
        onRestart();
      },
      pause: ({ retryAfterMs = KUBE_BACKOFF_MIN_MS }) => this.#clock.sleep(retryAfterMs, this.#signal),
    });
  }

  #take(raw: unknown, take: (raw: unknown) => void): void {
    try {
      take(raw);
    } catch (thrown) {
      if (!(thrown instanceof ShapeError)) throw thrown;
      this.#malformed += 1;
    }
  }
}
