/**
 * A table of flags, and the type of its parsed values.
 *
 * `{ 'cluster-id': uint32(0, '…'), 'kvstore-lease-ttl': duration('15m', '…') }` parses to
 * `{ clusterId: number, kvstoreLeaseTtlMs: number }`: names in camel case, durations in milliseconds
 * with the suffix `Ms`.
 */
import { parseDurationMs } from '../time/duration.ts';
import { listKind, mapKind } from './collections.ts';
import {
  addressKind,
  boolKind,
  choiceKind,
  decimalKind,
  durationKind,
  INT,
  type Kind,
  lenientBoolKind,
  textKind,
  UINT,
  UINT16,
  UINT32,
  wholeKind,
} from './kinds.ts';

export interface FlagOptions {
  /** One letter: `-D`. */
  readonly shorthand?: string;
  /** Works, but help does not show it. */
  readonly hidden?: boolean;
  /** Accepted, so that existing manifests start; nothing reads it. */
  readonly inert?: boolean;
  /** What a shell offers as its value; nothing where it is absent. `contexts`: those of the kubeconfig, by kubectl. */
  readonly candidates?: readonly string[] | 'files' | 'contexts';
}

export interface Flag<T, Suffix extends string = ''> extends FlagOptions {
  readonly kind: Kind<T>;
  readonly default: T;
  /** One sentence without a full stop. */
  readonly usage: string;
  /** Appended to the name of the parsed value: the unit, where the number has one. */
  readonly suffix: Suffix;
}

export type FlagTable = Readonly<Record<string, Flag<unknown, string>>>;

type Camel<Name extends string> = Name extends `${infer Head}-${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : Name;

/** What a table parses to. */
export type FlagValues<Table extends FlagTable> = {
  readonly [Name in keyof Table & string as `${Camel<Name>}${Table[Name]['suffix']}`]: Table[Name]['default'];
};

/** The name of the parsed value: `kvstore-lease-ttl` with suffix `Ms` is `kvstoreLeaseTtlMs`. */
export function valueName(name: string, flag: Flag<unknown, string>): string {
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase()) + flag.suffix;
}

/** The environment variable that sets the flag where the command line does not. */
export function environmentName(name: string): string {
  return `CILIUM_${name.toUpperCase().replaceAll('-', '_')}`;
}

export function bool(preset: boolean, usage: string, options: FlagOptions = {}): Flag<boolean> {
  return { kind: boolKind, default: preset, usage, suffix: '', candidates: ['true', 'false'], ...options };
}

/** Undefined if it is not set, although help and the log have the preset. */
export function presetBool(preset: boolean, usage: string, options: FlagOptions = {}): Flag<boolean | undefined> {
  const format = (value: boolean | undefined) => boolKind.format(value ?? preset);
  return { ...bool(preset, usage, options), kind: { ...boolKind, format }, default: undefined };
}

/** See lenientBoolKind. */
export function lenientBool(preset: boolean, usage: string, options: FlagOptions = {}): Flag<boolean> {
  return { ...bool(preset, usage, options), kind: lenientBoolKind };
}

export function text(preset: string, usage: string, options: FlagOptions = {}): Flag<string> {
  return { kind: textKind, default: preset, usage, suffix: '', ...options };
}

export function address(preset: string, usage: string, options: FlagOptions = {}): Flag<string> {
  return { kind: addressKind, default: preset, usage, suffix: '', ...options };
}

export function choice<const T extends string>(
  choices: readonly T[],
  preset: NoInfer<T>,
  usage: string,
  options: FlagOptions = {},
): Flag<T> {
  return { kind: choiceKind(choices), default: preset, usage, suffix: '', candidates: choices, ...options };
}

export function uint32(preset: number, usage: string, options: FlagOptions = {}): Flag<number> {
  return { kind: wholeKind('uint32', UINT32), default: preset, usage, suffix: '', ...options };
}

export function uint16(preset: number, usage: string, options: FlagOptions = {}): Flag<number> {
  return { kind: wholeKind('uint16', UINT16), default: preset, usage, suffix: '', ...options };
}

/** Undefined if it is not set, although help and the log have the preset. */
export function presetUint16(preset: number, usage: string, options: FlagOptions = {}): Flag<number | undefined> {
  const kind = wholeKind('uint16', UINT16);
  const format = (value: number | undefined) => kind.format(value ?? preset);
  return { kind: { ...kind, format }, default: undefined, usage, suffix: '', ...options };
}

/** A whole number from 0 on. */
export function uint(preset: number, usage: string, options: FlagOptions = {}): Flag<number> {
  return { kind: wholeKind('uint', UINT), default: preset, usage, suffix: '', ...options };
}

export function int(preset: number, usage: string, options: FlagOptions = {}): Flag<number> {
  return { kind: wholeKind('int', INT), default: preset, usage, suffix: '', ...options };
}

export function float(preset: number, usage: string, options: FlagOptions = {}): Flag<number> {
  return { kind: decimalKind, default: preset, usage, suffix: '', ...options };
}

export interface DurationOptions extends FlagOptions {
  readonly min?: string;
  readonly max?: string;
}

export function duration(preset: string, usage: string, options: DurationOptions = {}): Flag<number, 'Ms'> {
  const { min = '0s', max, ...others } = options;
  const range = { min: milliseconds(min), max: max === undefined ? Number.MAX_SAFE_INTEGER : milliseconds(max) };
  return { kind: durationKind(range), default: milliseconds(preset), usage, suffix: 'Ms', ...others };
}

export function list(usage: string, options: FlagOptions = {}): Flag<readonly string[]> {
  return { kind: listKind, default: [], usage, suffix: '', ...options };
}

export function map(usage: string, options: FlagOptions = {}): Flag<ReadonlyMap<string, string>> {
  return { kind: mapKind, default: new Map(), usage, suffix: '', ...options };
}

function milliseconds(preset: string): number {
  const value = parseDurationMs(preset);
  if (value === undefined) throw new TypeError(`${preset} is not a duration`);
  return value;
}
