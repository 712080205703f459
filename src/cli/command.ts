/** What the program knows of each of its subcommands. */
export interface Command {
  /** One sentence without a full stop. */
  readonly summary: string;
  /**
   * Resolves with the exit status. Rejects with a ProgramError where the arguments are wrong; whoever
   * called prints it.
   */
  run(argv: readonly string[]): Promise<number>;
}
