/** Which parts of the program an input reached, as V8 counts its blocks. */
import { Session } from 'node:inspector';

/** Files whose blocks count. */
const PROGRAM = /\/src\//;

export class Coverage {
  readonly #session = new Session();
  readonly #seen = new Set<string>();

  /** Counts in this process, from now on. */
  constructor() {
    this.#session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Blocks seen so far. */
  get size(): number {
    return this.#seen.size;
  }

  /** The blocks that ran since the last call and are not among those seen. */
  takeNew(): readonly string[] {
    const { result } = this.#post('Profiler.takePreciseCoverage') as TakenCoverage;
    const found: string[] = [];
    for (const { url, functions } of result) {
      if (!PROGRAM.test(url)) continue;
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          const block = `${url}:${startOffset}-${endOffset}`;
          if (count > 0 && !this.#seen.has(block)) found.push(block);
        }
      }
    }
    return found;
  }

  /** They count as seen from now on. */
  add(blocks: readonly string[]): void {
    for (const block of blocks) this.#seen.add(block);
  }

  /** A session with its own process answers before `post` returns. */
  #post(method: string, params: object = {}): unknown {
    let answer: unknown;
    this.#session.post(method, params, (error, result) => {
      if (error !== null) throw error;
      answer = result;
    });
    return answer;
  }
}

interface TakenCoverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly {
      readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; readonly count: number }[];
    }[];
  }[];
}
