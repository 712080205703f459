/**
 * The text format of Prometheus, a line for each series, from what prom-client has of a family: the same text as the library
 * makes, with neither a list nor an object for each line.
 */

type Labels = Readonly<Record<string, string | number>>;

/** A series of a family. */
export interface Series {
  readonly value: number;
  readonly labels?: Labels;
  /** Where it is not that of the family. */
  readonly metricName?: string;
}

/** What is said of a family as a whole. */
export interface Heading {
  readonly name: string;
  readonly help: string;
  readonly type: string;
}

export interface Family extends Heading {
  readonly values: readonly Series[];
}

/** The two lines before those of the series, without the last line break. */
export function familyHeader({ name, help, type }: Heading): string {
  return `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}`;
}

/** The line of `series`, with the line break before it. */
export function seriesLine(family: string, { value, labels = NONE, metricName = family }: Series): string {
  const text = labelText(labels);
  return text === '' ? `\n${metricName} ${valueText(value)}` : `\n${metricName}{${text}} ${valueText(value)}`;
}

const NONE: Labels = {};

function labelText(labels: Labels): string {
  let text = '';
  for (const name in labels) text += `${text === '' ? '' : ','}${name}="${escapedLabel(labels[name])}"`;
  return text;
}

/** `value` as it is between the quotes of a label. */
export function escapedLabel(value: string | number | undefined): string {
  if (typeof value !== 'string' || !TO_ESCAPE.test(value)) return String(value);
  return escaped(value).replaceAll('"', '\\"');
}

const TO_ESCAPE = /["\\\n]/;

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

export function valueText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return 'Nan';
  return value < 0 ? '-Inf' : '+Inf';
}
