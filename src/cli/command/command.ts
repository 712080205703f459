/** The interface of a subcommand. */
import type { FlagTable } from '../../shared/flags/table.ts';

export interface Command {
  /** One sentence without a full stop. */
  readonly summary: string;
  /** Its flags but for `--help`; absent where it takes none, not even that. */
  readonly flags?: FlagTable;
  /** Flags of a second list, behind `--`. */
  readonly furtherFlags?: FlagTable;
  /** Those among which it chooses, where it does nothing else. */
  readonly commands?: Readonly<Record<string, Command>>;
  /** The words that may follow it, where these are known. */
  readonly operands?: readonly string[];
  /**
   * Resolves with the exit status. Rejects with a ProgramError if the arguments are invalid; the caller
   * prints it.
   */
  run(argv: readonly string[]): Promise<number>;
}
