/** A family of series that writes its own lines, beside those of the library in the same registry. */
import type { Family, Heading } from './text-format.ts';

export abstract class OwnFamily implements Heading {
  readonly name: string;
  readonly help: string;
  readonly type: string;

  constructor({ name, help, type }: Heading) {
    this.name = name;
    this.help = help;
    this.type = type;
  }

  /** The text of the series in pieces of some lines, with a line break before each line. */
  abstract lines(): Iterable<string>;

  /** The same for the library, which has other formats too. */
  abstract get(): Promise<Family>;
}
