/** How many endpoints are exported, and how many the selector holds back, as Prometheus series. */
import type { Gauge, Registry } from '../../../shared/http/metrics.ts';

export interface EndpointCount {
  readonly exported: number;
  /** Of namespaces that are exported, with an address, and not selected. */
  readonly heldBack: number;
}

const NONE: EndpointCount = { exported: 0, heldBack: 0 };

/** Totals over all objects; kept up to date by object, so that no scrape has to count. */
export class EndpointCounts {
  readonly #byObject = new Map<string, EndpointCount>();
  #total = NONE;

  get total(): EndpointCount {
    return this.#total;
  }

  set(object: string, { exported, heldBack }: EndpointCount): void {
    const before = this.#byObject.get(object) ?? NONE;
    if (exported === 0 && heldBack === 0) this.#byObject.delete(object);
    else this.#byObject.set(object, { exported, heldBack });
    this.#total = {
      exported: this.#total.exported + exported - before.exported,
      heldBack: this.#total.heldBack + heldBack - before.heldBack,
    };
  }
}

/** The series, which all terms of the process continue. Without a term there are none. */
export class EndpointCountMetrics {
  readonly #gauge: Gauge<'decision'>;
  #counts: EndpointCounts | undefined;

  constructor(registry: Registry) {
    const help = 'Endpoints of exported namespaces, by the decision of --export-endpoint-selector';
    this.#gauge = registry.gauge('export_endpoints', help, ['decision'], (gauge) => {
      const total = this.#counts?.total;
      if (total === undefined) return;
      gauge.set({ decision: 'exported' }, total.exported);
      gauge.set({ decision: 'held_back' }, total.heldBack);
    });
  }

  setCounts(counts: EndpointCounts | undefined): void {
    this.#counts = counts;
    if (counts === undefined) this.#gauge.reset();
  }
}
