/**
 * The embedded Kubernetes API as a program of its own:
 *
 *     node demo/kubernetes/main.ts [--address IP] [--port N] [--kubeconfig FILE]
 *
 * Without a file the kubeconfig is printed. Ends on SIGINT and SIGTERM.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startEmbeddedKubernetes } from './embedded-kubernetes.ts';

const USAGE = 'usage: node demo/kubernetes/main.ts [--address IP] [--port N] [--kubeconfig FILE]\n';

async function run(): Promise<void> {
  const { values } = parseArgs({
    options: { address: { type: 'string' }, port: { type: 'string', default: '0' }, kubeconfig: { type: 'string' } },
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new TypeError(`--port: "${values.port}" is no port`);
  const kubernetes = await startEmbeddedKubernetes({
    port,
    ...(values.address === undefined ? {} : { address: values.address }),
  });
  if (values.kubeconfig !== undefined) await writeFile(values.kubeconfig, kubernetes.kubeconfig, { mode: 0o600 });
  const told = values.kubeconfig === undefined ? `\n${kubernetes.kubeconfig}` : `; kubeconfig: ${values.kubeconfig}`;
  process.stdout.write(`embedded Kubernetes API ${kubernetes.version} (no cluster behind it) at ${kubernetes.url}${told}\n`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void kubernetes.stop());
}

try {
  await run();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${error instanceof TypeError ? USAGE : ''}`);
  process.exitCode = 1;
}
