/**
 * Waits until etcd has what a section was given, for any number of names at the cost of one wait at a time.
 *
 * Names that are added during a wait belong to the next one, so each name waits for everything that the section was given before
 * it was added. There are at most twice as many as there are names.
 */

export interface ConfirmationsOptions {
  /** Resolves when everything that is to be confirmed has been given to the section. */
  readonly prepared: () => Promise<void>;
  /** Resolves when etcd has confirmed all that the section was given; rejects when the program is stopping. */
  readonly flushed: () => Promise<void>;
  readonly onConfirmed: (name: string) => void;
}

export class Confirmations {
  readonly #options: ConfirmationsOptions;
  #next = new Set<string>();
  #current: ReadonlySet<string> = new Set();
  #isRunning = false;

  constructor(options: ConfirmationsOptions) {
    this.#options = options;
  }

  has(name: string): boolean {
    return this.#next.has(name) || this.#current.has(name);
  }

  add(name: string): void {
    this.#next.add(name);
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    const { prepared, flushed, onConfirmed } = this.#options;
    this.#isRunning = true;
    try {
      while (this.#next.size > 0) {
        await prepared();
        this.#current = this.#next;
        this.#next = new Set();
        await flushed();
        const confirmed = this.#current;
        this.#current = new Set();
        for (const name of confirmed) if (!this.#next.has(name)) onConfirmed(name);
      }
    } catch {
      // The program is stopping: what waits belongs to the next run.
    }
    this.#isRunning = false;
  }
}
