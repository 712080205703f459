/** Text that names ports and IDs, as the recordings have it: both differ from run to run. */
export function comparableText(text: string): string {
  return text
    .replaceAll(/\bID: [0-9a-f]+/g, 'ID: <id>')
    .replaceAll(/cluster ID has changed: expected \d+, got \d+/g, 'cluster ID has changed: expected <id>, got <id>')
    .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:<port>');
}
