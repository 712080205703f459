/** Programs of this machine on the network of a container, which no other one reaches. */
import { runChild } from '../processes/child.ts';

/** The command line that runs `command` on the network of the process `pid`. */
export function onNetworkOf(pid: number, ...command: readonly string[]): readonly [string, readonly string[]] {
  return ['nsenter', [`--net=/proc/${pid}/ns/net`, ...command]];
}

/** One HTTP request there: the status and the body, or nothing where it failed. */
export async function requestOnNetworkOf(pid: number, method: string, url: string, body?: unknown): Promise<string> {
  const content = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  const code = `const answer = await fetch(${JSON.stringify(url)}, ${JSON.stringify({ method, ...content })});
    process.stdout.write(answer.status + ' ' + await answer.text());`;
  const { stdout } = await runChild(...onNetworkOf(pid, process.execPath, '--input-type=module', '--eval', code));
  return stdout;
}
