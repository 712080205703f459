/**
 * The objects of one kind in the fake API server, with their resource versions and their history.
 */
export interface FakeObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly resourceVersion: string };
  readonly [field: string]: unknown;
}

export interface HistoryEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly version: number;
  readonly object: FakeObject;
}

export interface Page {
  readonly objects: readonly FakeObject[];
  readonly version: number;
  /** '' after the last page. */
  readonly next: string;
}

export class Collection {
  readonly objects = new Map<string, FakeObject>();
  /** Versions below it are gone from the history. */
  compacted = 0;
  version = 1;
  readonly #history: HistoryEvent[] = [];
  readonly #onEvent: (event: HistoryEvent) => void;
  readonly #snapshots = new Map<string, { readonly objects: readonly FakeObject[]; readonly version: number }>();

  constructor(onEvent: (event: HistoryEvent) => void) {
    this.#onEvent = onEvent;
  }

  /** Creates or replaces `namespace/name`, or `name` where the kind is cluster scoped. */
  put(id: string, fields: Readonly<Record<string, unknown>> = {}): FakeObject {
    const type = this.objects.has(id) ? 'MODIFIED' : 'ADDED';
    this.version += 1;
    const object = { ...fields, metadata: { ...metadataOf(id), resourceVersion: String(this.version) } };
    this.objects.set(id, object);
    this.#record({ type, version: this.version, object });
    return object;
  }

  remove(id: string): void {
    const last = this.objects.get(id);
    if (last === undefined) throw new Error(`there is no ${id}`);
    this.version += 1;
    this.objects.delete(id);
    const object = { ...last, metadata: { ...last.metadata, resourceVersion: String(this.version) } };
    this.#record({ type: 'DELETED', version: this.version, object });
  }

  /** Forgets the history and the snapshots that pages are read from. */
  compact(): void {
    this.compacted = this.version;
    this.#history.length = 0;
    this.#snapshots.clear();
  }

  after(version: number): HistoryEvent[] {
    return this.#history.filter((event) => event.version > version);
  }

  /** Undefined where the snapshot of `token` is gone. `limit` 0 for everything. */
  page(token: string, limit: number): Page | undefined {
    const [snapshotId = '', offsetText = '0'] = token === '' ? [`s${this.version}`] : token.split('.');
    if (token === '') this.#snapshots.set(snapshotId, { objects: [...this.objects.values()], version: this.version });
    const snapshot = this.#snapshots.get(snapshotId);
    if (snapshot === undefined) return undefined;
    const offset = Number(offsetText);
    const end = limit === 0 ? snapshot.objects.length : Math.min(offset + limit, snapshot.objects.length);
    const next = end < snapshot.objects.length ? `${snapshotId}.${end}` : '';
    return { objects: snapshot.objects.slice(offset, end), version: snapshot.version, next };
  }

  #record(event: HistoryEvent): void {
    this.#history.push(event);
    this.#onEvent(event);
  }
}

function metadataOf(id: string): { name: string; namespace?: string } {
  const slash = id.indexOf('/');
  return slash === -1 ? { name: id } : { namespace: id.slice(0, slash), name: id.slice(slash + 1) };
}
