/** The programs of a node, in its network namespace. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runChild } from '../processes/child.ts';
import { namespaceOf } from './node-network.ts';
import { nodeProgram } from './node-programs.ts';

const LAST_CHARACTERS = 2_000;

export class NodeProcesses {
  readonly #namespace: string;
  readonly #logs: string;
  readonly #environment: Record<string, string>;
  readonly #names: string[] = [];

  constructor(number: number, logs: string, environment: Record<string, string>) {
    this.#namespace = namespaceOf(number);
    this.#logs = logs;
    this.#environment = environment;
  }

  /** Starts a program that runs until the node is removed. Its output goes to a file. */
  start(name: string, path: string, args: readonly string[]): void {
    const log = openSync(join(this.#logs, name), 'a');
    const child = spawn(nodeProgram('nsenter'), [`--net=/run/netns/${this.#namespace}`, path, ...args], {
      stdio: ['ignore', log, log],
      env: this.#environment,
      detached: true,
    });
    child.on('error', () => undefined);
    closeSync(log);
    this.#names.push(name);
  }

  /** Runs a program to its end. Rejects with its own words where it fails. */
  async run(name: string, ...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await runChild(nodeProgram(name), args, { env: this.#environment });
    if (status !== 0) throw new Error(`${name} ${args.join(' ')}: ${stderr.trim()}`);
    return stdout;
  }

  /** The end of the log of each program. */
  lastLines(): string {
    return this.#names
      .map((name) => `${name}: ${readFileSync(join(this.#logs, name), 'utf8').slice(-LAST_CHARACTERS)}`)
      .join('\n');
  }
}
