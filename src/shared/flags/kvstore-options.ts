/**
 * The options of `--kvstore-opt`, typed.
 *
 * A limit applies only if it is set: with the original's default of 20 operations per second a
 * cold start with ten thousand keys takes eight minutes, and etcd needs no such limit when writes use
 * transactions.
 */

import { ProgramError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { MAX_TIMER_MS } from '../time/clock.ts';
import { parseDurationMs } from '../time/duration.ts';

export interface KvstoreOptions {
  /** Path of a file with endpoints and certificates. */
  readonly etcdConfigPath?: string;
  /** A single endpoint, in place of the file. */
  readonly address?: string;
  /** Requests a second; absent for no limit. */
  readonly qps?: number;
  /** Requests a second until the daemon is ready; absent for no other limit than `qps`. */
  readonly bootstrapQps?: number;
  /** Requests in flight; absent for no limit. */
  readonly maxInflight?: number;
  /** Keys per page of a listing; 0 for no pages. */
  readonly limit?: number;
  readonly keepaliveTimeMs?: number;
  readonly keepaliveTimeoutMs?: number;
  /** Not of `--kvstore-opt`: see the flag `--strict-server-names`. */
  readonly strictServerNames?: boolean;
}

/** An unknown option of `--kvstore-opt`, or a value that does not fit. */
export class KvstoreOptionError extends ProgramError {
  readonly code = 'KVSTORE_OPTION_INVALID';
  readonly retriable = false;
}

type OptionName = Exclude<keyof KvstoreOptions, 'strictServerNames'>;

interface Option {
  readonly name: OptionName;
  /** Undefined for what does not fit. */
  parse(text: string): string | number | undefined;
  readonly allowed: string;
  /** The value 0 means no limit. */
  readonly isLimit?: boolean;
}

const COUNT = 'a whole number from 0';

const OPTIONS: Readonly<Record<string, Option>> = {
  'etcd.config': { name: 'etcdConfigPath', parse: notEmpty, allowed: 'a file path' },
  'etcd.address': { name: 'address', parse: notEmpty, allowed: 'a URL such as https://127.0.0.1:2379' },
  'etcd.qps': { name: 'qps', parse: count, allowed: COUNT, isLimit: true },
  'etcd.bootstrapQps': { name: 'bootstrapQps', parse: count, allowed: COUNT, isLimit: true },
  'etcd.maxInflight': { name: 'maxInflight', parse: count, allowed: COUNT, isLimit: true },
  'etcd.limit': { name: 'limit', parse: count, allowed: COUNT },
  'etcd.keepaliveHeartbeat': { name: 'keepaliveTimeMs', parse: timerDuration, allowed: 'a duration such as 15s' },
  'etcd.keepaliveTimeout': { name: 'keepaliveTimeoutMs', parse: timerDuration, allowed: 'a duration such as 25s' },
};

/** Throws KvstoreOptionError for an unknown option, a value that does not fit, or where no etcd is named. */
export function parseKvstoreOptions(given: ReadonlyMap<string, string>): KvstoreOptions {
  const options: Partial<Record<OptionName, string | number>> = {};
  for (const [key, text] of given) {
    const option = Object.hasOwn(OPTIONS, key) ? OPTIONS[key] : undefined;
    if (option === undefined) throw unknownOption(key);
    const value = option.parse(text);
    if (value === undefined) {
      throw new KvstoreOptionError(`flag --kvstore-opt: ${key}=${JSON.stringify(text)} is invalid; allowed: ${option.allowed}`);
    }
    if (!(option.isLimit && value === 0)) options[option.name] = value;
  }
  if (options.etcdConfigPath === undefined && options.address === undefined) {
    throw new KvstoreOptionError('flag --kvstore-opt: no etcd address; set etcd.config=<file> or etcd.address=<URL>');
  }
  return options as KvstoreOptions;
}

function unknownOption(key: string): KvstoreOptionError {
  const known = Object.keys(OPTIONS);
  const meant = nearest(key, known);
  const question = meant === undefined ? '' : `did you mean ${meant}? `;
  return new KvstoreOptionError(
    `flag --kvstore-opt: unknown option ${JSON.stringify(key)}; ${question}allowed: ${known.join(', ')}`,
  );
}

function notEmpty(text: string): string | undefined {
  return text === '' ? undefined : text;
}

/** As `strconv.Atoi` of Go reads it: decimal, also with a leading zero. */
function count(text: string): number | undefined {
  const value = /^\+?\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** gRPC's timer is limited; a ping interval beyond the limit disables pings. */
function timerDuration(text: string): number | undefined {
  const value = parseDurationMs(text);
  return value !== undefined && value > 0 ? Math.min(value, MAX_TIMER_MS) : undefined;
}
