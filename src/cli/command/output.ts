/** Text to standard output, for commands whose output is read through a pipe. */

let isGuarded = false;

/** Prints `text`. If the reader closes the pipe, the process exits. */
export function print(text: string): void {
  if (!isGuarded) process.stdout.on('error', () => process.exit());
  isGuarded = true;
  process.stdout.write(text);
}
