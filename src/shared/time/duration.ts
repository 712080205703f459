/**
 * Durations as Go programs write them: `15m0s`, `1h30m`, `500ms`, `1.5s`, `0`.
 *
 * The flags and options of this program are those of a Go program, in manifests that exist already. The grammar is that
 * of Go's `time.ParseDuration`, and so is the bound: a duration is a 64-bit number of nanoseconds, some 292 years.
 */
const UNIT_NS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  // Unicode has two letters for micro: U+00B5 and U+03BC.
  '\u00b5s': 1_000n,
  '\u03bcs': 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

const MAX_NS = 2n ** 63n;
const NS_PER_MS = 1e6;

/** Digits of a number of nanoseconds that may fit, and of a fraction that matter: an hour has 3.6e12 ns. */
const MAX_DIGITS = 19;

const PART = /(\d*)(?:\.(\d*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;

/**
 * Milliseconds of `text`, down to a millionth; undefined where it is no duration, or does not fit 64 bits. A bare `0` is a
 * duration, a bare `15` is not.
 */
export function parseDurationMs(text: string): number | undefined {
  const isNegative = text.startsWith('-');
  const body = text.replace(/^[+-]/, '');
  if (body === '0') return 0;
  if (body === '') return undefined;
  let total = 0n;
  PART.lastIndex = 0;
  while (PART.lastIndex < body.length) {
    const match = PART.exec(body);
    const part = match === null ? undefined : nanoseconds(match[1] ?? '', match[2] ?? '', UNIT_NS[match[3] ?? ''] ?? 0n);
    if (part === undefined) return undefined;
    total += part;
    if (total > MAX_NS) return undefined;
  }
  if (!isNegative && total === MAX_NS) return undefined;
  // 0 - x rather than -x: there is no negative zero in Go.
  return isNegative ? 0 - Number(total) / NS_PER_MS : Number(total) / NS_PER_MS;
}

/** `whole.fraction` units, rounded down; undefined where both are empty, or the number is larger than any duration. */
function nanoseconds(whole: string, fraction: string, unit: bigint): bigint | undefined {
  const digits = whole.replace(/^0+/, '');
  if ((whole === '' && fraction === '') || digits.length > MAX_DIGITS) return undefined;
  const tail = fraction.slice(0, MAX_DIGITS);
  return BigInt(digits || '0') * unit + (BigInt(tail || '0') * unit) / 10n ** BigInt(tail.length);
}

/** `ms` in Go's form: `15m0s`, `1h0m0s`, `1.5s`, `500ms`, `0s`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms < 1) return ms < 1e-3 ? `${Math.round(ms * NS_PER_MS)}ns` : `${Math.round(ms * NS_PER_MS) / 1_000}\u00b5s`;
  if (ms < 1_000) return `${ms}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const seconds = (ms % 60_000) / 1_000;
  return `${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`;
}
