/**
 * Random faults for `SOAK_SECONDS`, two minutes by default: bursts of them while three remotes change up to a
 * thousand keys a second. After each burst everything heals, and the oracle judges what became of it.
 *
 * A failing run names its seed and all that was done; `SOAK_SEED` makes the same choices again.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { Random } from '../support/random.ts';
import { type Action, pickAction } from './actions.ts';
import { MemorySamples } from './memory.ts';
import { SoakMesh } from './soak-mesh.ts';

const seconds = Number(process.env.SOAK_SECONDS ?? 120);
const seed = Number(process.env.SOAK_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** From then on the process stays the same one, so that its memory can be compared. */
const LAST_RESTART = 0.4;
/** How long it is given to reach its working size. */
const WARM_UP = 0.15;

const RATES = [20, 100, 330];

class Soak {
  readonly #world: SoakMesh;
  readonly #random = new Random(seed);
  readonly #actions: string[] = [];
  bursts = 0;

  constructor(world: SoakMesh) {
    this.#world = world;
  }

  get report(): string {
    return `${this.bursts} bursts, ${this.#actions.length} faults, ${this.changes} changes`;
  }

  get changes(): number {
    return this.#world.remotes.reduce((sum, { changes }) => sum + changes, 0);
  }

  /** Some faults, one after the other, then a quiet moment and the verdict. */
  async burst(mayRestart: boolean): Promise<void> {
    this.bursts += 1;
    const { remotes, daemon } = this.#world;
    try {
      for (const changing of remotes) changing.change(this.#random.pick(RATES));
      const count = this.#random.between(2, 7);
      for (let index = 0; index < count; index += 1) {
        await this.#act(pickAction(this.#random, mayRestart));
        await pause(this.#random.between(50, 800));
      }
      await this.#world.heal();
      await pause(this.#random.between(0, 1_000));
      await Promise.all(remotes.map((changing) => changing.rest()));
      await this.#world.converged();
    } catch (thrown) {
      const done = `SOAK_SEED=${seed}, ${this.report}:\n  ${this.#actions.join('\n  ')}`;
      throw new Error(`${(thrown as Error).message}\n${done}\nlog: ${daemon.process.log.slice(-6_000)}`, { cause: thrown });
    }
  }

  async #act(action: Action): Promise<void> {
    const at = this.#actions.push(`${this.bursts}: (under way)`) - 1;
    const done = await action.run(this.#world, this.#random);
    if (done === undefined) this.#actions.splice(at, 1);
    else this.#actions[at] = `${this.bursts}: ${done}`;
  }
}

describe.skipIf(etcdVersions().length === 0)('after any faults, in any order', () => {
  test(
    `the mirror is right again afterwards, and memory stays as it is (seed ${seed})`,
    async () => {
      await using world = await SoakMesh.start(seed);
      const soak = new Soak(world);
      const startMs = performance.now();
      const passed = () => (performance.now() - startMs) / 1000 / seconds;
      const memory = new MemorySamples();
      let minute = 0;
      while (passed() < 1) {
        await soak.burst(passed() < LAST_RESTART);
        if (passed() > LAST_RESTART + WARM_UP) await memory.take(world.daemon);
        if (passed() * seconds >= (minute + 1) * 60) {
          minute = Math.floor((passed() * seconds) / 60);
          process.stdout.write(`soak, minute ${minute}: ${soak.report}\n`);
        }
      }
      const { trend } = memory;
      process.stdout.write(`soak, seed ${seed}: ${soak.report}; memory ${JSON.stringify(trend)}\n`);
      expect(soak.changes).toBeGreaterThan(0);
      expect(trend.lastMb, JSON.stringify(trend)).toBeLessThan(trend.firstMb * 1.25 + 10);
    },
    seconds * 1000 + 300_000,
  );
});
