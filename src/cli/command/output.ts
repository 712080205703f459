/** Text to standard output, for commands whose output is read through a pipe. */

let isGuarded = false;

/** Prints `text` as it is. Whoever reads may stop reading: then there is nobody left to tell anything, and the process ends. */
export function print(text: string): void {
  if (!isGuarded) process.stdout.on('error', () => process.exit());
  isGuarded = true;
  process.stdout.write(text);
}
