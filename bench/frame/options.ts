/** The command line of the bench. */
import { parseArgs } from 'node:util';
import { againstCheckout, OWN, peer, type Subject } from './subjects.ts';

export interface BenchOptions {
  readonly keys: number;
  readonly rounds: number;
  /** How long each rate of changes lasts. */
  readonly seconds: number;
  /** Names of rows; undefined for all that are not extra. */
  readonly only: readonly string[] | undefined;
  /** This checkout first. */
  readonly subjects: readonly Subject[];
  /** etcd waits for the disk. */
  readonly fsync: boolean;
  /** etcd requires certificates and has users, as deployed. */
  readonly mtls: boolean;
  /** Arguments of etcd's `benchmark`, which loads the remote etcd while the mirror is measured. */
  readonly beside: readonly string[] | undefined;
  readonly json: string | undefined;
  /** Of the row `outages`: seconds, and tries of each. */
  readonly outages: readonly number[];
  readonly tries: number;
  readonly list: boolean;
}

export const USAGE = `npm run bench -- [flags]

  --only ROW,ROW     only these rows, also those that do not run by default
  --list             print the rows and what each measures
  --rounds N         rounds of each row (3)
  --keys N           keys of the remote cluster (100000)
  --seconds N        duration of each rate of changes (10)
  --fsync            etcd waits for the disk
  --mtls             etcd requires certificates and has users, as deployed
  --against DIR      measure another checkout in turns, which has to be built; may be repeated
  --peer BINARY      measure another program with the same flags in turns: BINARY kvstoremesh FLAGS; may be repeated
                     both as 'NAME=PATH FLAG FLAG' to name the columns and to add flags
  --beside 'ARGS'    load the remote etcd with etcd's own benchmark during fill and latency: 'put --rate=1000 --total=1000000'
  --json FILE        also write all figures of all rounds as JSON
  --outages S,S      seconds of the outages of the row outages (20,60,180)
  --tries N          tries for each of them (20)
`;

/** What is wrong with the command line. */
export class UsageError extends Error {
  readonly code = 'BENCH_USAGE';
  readonly retryable = false;
}

/** Throws UsageError. */
export function parseOptions(words: readonly string[]): BenchOptions {
  const { values } = parse(words);
  const subjects = [OWN, ...(values.against ?? []).map(againstCheckout), ...(values.peer ?? []).map(peer)];
  const names = subjects.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UsageError(`two programs have the name ${twice}; give one another: NAME=PATH`);
  return {
    keys: whole('keys', values.keys),
    rounds: whole('rounds', values.rounds),
    seconds: whole('seconds', values.seconds),
    only: values.only?.split(','),
    subjects,
    fsync: values.fsync,
    mtls: values.mtls,
    beside: values.beside?.split(/\s+/),
    json: values.json,
    outages: values.outages.split(',').map((seconds) => whole('outages', seconds)),
    tries: whole('tries', values.tries),
    list: values.list,
  };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        only: { type: 'string' },
        list: { type: 'boolean', default: false },
        rounds: { type: 'string', default: '3' },
        keys: { type: 'string', default: '100000' },
        seconds: { type: 'string', default: '10' },
        fsync: { type: 'boolean', default: false },
        mtls: { type: 'boolean', default: false },
        against: { type: 'string', multiple: true },
        peer: { type: 'string', multiple: true },
        beside: { type: 'string' },
        json: { type: 'string' },
        outages: { type: 'string', default: '20,60,180' },
        tries: { type: 'string', default: '20' },
      },
    });
  } catch (thrown) {
    throw new UsageError(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function whole(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new UsageError(`--${name} takes a whole number from 1, not ${text}`);
  return number;
}
