/**
 * The addresses of a host name, looked up on every dial: a replaced Pod may have another address.
 *
 * The system's resolver is used, because it reads /etc/hosts and search domains. It blocks a thread per lookup, for many
 * seconds if no server responds, and the process has only four threads, also for files. Hence the number of concurrent lookups
 * is limited, and callers share the lookup of a name.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { MAX_CONCURRENT_LOOKUPS } from '../../limits.ts';

export type Resolve = (host: string) => Promise<readonly string[]>;

export class HostLookup {
  readonly #resolve: Resolve;
  readonly #asked = new Map<string, Promise<readonly string[]>>();
  readonly #waiting: (() => void)[] = [];
  #free = MAX_CONCURRENT_LOOKUPS;

  constructor(resolve: Resolve = systemAddresses) {
    this.#resolve = resolve;
  }

  /** All addresses of `host`, in the resolver's order; an address is its own. Rejects with the resolver's error. */
  addresses(host: string): Promise<readonly string[]> {
    if (isIP(host) !== 0) return Promise.resolve([host]);
    const asked = this.#asked.get(host);
    if (asked !== undefined) return asked;
    const answer = this.#ask(host).finally(() => this.#asked.delete(host));
    this.#asked.set(host, answer);
    return answer;
  }

  async #ask(host: string): Promise<readonly string[]> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await this.#resolve(host);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

async function systemAddresses(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true, order: 'verbatim' });
  return [...new Set(found.map(({ address }) => address))];
}

/** The threads are those of the process. */
export const hostLookup = new HostLookup();
