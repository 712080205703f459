/**
 * YAML as parsed by `sigs.k8s.io/yaml`, the library of etcd's clients and of Kubernetes: the words and numbers of YAML 1.1, and
 * the first document of a file.
 *
 * Base-60 numbers and times are strings, unlike in YAML 1.1. Whole numbers are parsed as bigint, so that a string that looks like a number keeps all its
 * digits.
 */
import type { DocumentOptions, ParseOptions, ScalarTag, SchemaOptions, Tags } from 'yaml';

const INT = 'tag:yaml.org,2002:int';
/** Decimal digits that distinguish any two 32-bit floating-point numbers. */
const MAX_FLOAT32_DIGITS = 9;

const FOREIGN: readonly string[] = ['timestamp', 'omap', 'pairs', 'set'].map((name) => `tag:yaml.org,2002:${name}`);

/** `0o17`, which YAML 1.1 does not have. */
const GO_OCTAL: ScalarTag = {
  tag: INT,
  default: true,
  test: /^[-+]?0o[0-7_]+$/,
  resolve: (text) => {
    const value = BigInt(text.replace(/^[-+]/, '').replaceAll('_', ''));
    return text.startsWith('-') ? -value : value;
  },
};

export const GO_YAML: ParseOptions & DocumentOptions & SchemaOptions = {
  version: '1.1',
  // The version of a `%YAML` directive has no effect in Go's library.
  schema: 'yaml-1.1',
  intAsBigInt: true,
  customTags: (tags: Tags) => [GO_OCTAL, ...tags.filter((tag) => typeof tag === 'string' || isKnownToGo(tag))],
};

function isKnownToGo({ tag, format }: { readonly tag: string; readonly format?: string }): boolean {
  return !FOREIGN.includes(tag) && format !== 'TIME';
}

/** The string form of a scalar for a string field: `yes` is `true`, `0x1F` is `31`. Undefined for anything else. */
export function goText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  return typeof value === 'number' ? goFloat(value) : undefined;
}

/** As `strconv.FormatFloat(value, 'g', -1, 32)`, which the library uses: the fewest digits that a 32-bit number needs. */
function goFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
  const single = Math.fround(value);
  let digits = 0;
  while (digits < MAX_FLOAT32_DIGITS - 1 && Math.fround(Number(single.toExponential(digits))) !== single) digits += 1;
  const [mantissa = '0', exponent = '0'] = single.toExponential(digits).split('e');
  const power = Number(exponent);
  if (power >= -4 && power < 6) return single.toFixed(Math.max(0, digits - power));
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}
