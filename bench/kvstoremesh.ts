/** One kvstoremesh process that mirrors a source into an empty etcd, from its start to its last canary. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyOf, type Revision } from '../src/shared/etcd/types.ts';
import { connect } from './ceiling.ts';
import { startEtcd } from './etcd.ts';

export interface Mirrored {
  readonly mirrorSeconds: number;
  readonly cpuSeconds: number;
  readonly memoryMegabytes: number;
}

const BINARY = new URL('../bin/clustermesh-apiserver', import.meta.url).pathname;

/** Destination canaries of a remote, the disabled resources included. */
const CANARIES = 6;

export async function mirror(options: { source: string; name: string; keys: number }): Promise<Mirrored> {
  const etcd = await startEtcd();
  const directory = await mkdtemp(join(tmpdir(), 'bench-mesh-'));
  await writeFile(join(directory, options.name), `endpoints:\n- ${options.source}\n`);
  const startMs = performance.now();
  const child = spawn(
    BINARY,
    [
      'kvstoremesh',
      ...[
        '--cluster-name=west',
        '--cluster-id=2',
        `--clustermesh-config=${directory}`,
        `--kvstore-opt=etcd.address=${etcd.endpoint}`,
      ],
      ...['--health-port=0', '--api-serve-addr=127.0.0.1:0'],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const client = connect(etcd.endpoint);
  const abort = new AbortController();
  child.once('exit', (code) => abort.abort(new Error(`kvstoremesh ended with status ${code}`)));
  try {
    let canaries = 0;
    for await (const batch of client.watch(keyOf(`cilium/synced/${options.name}/`), {
      signal: abort.signal,
      from: 1 as Revision,
    })) {
      if (batch.kind === 'events') canaries += batch.events.length;
      if (canaries >= CANARIES) break;
    }
    abort.signal.throwIfAborted();
    const mirrorSeconds = (performance.now() - startMs) / 1000;
    let found = 0;
    for await (const page of client.list(keyOf('cilium/cache/'), { signal: abort.signal, keysOnly: true }))
      found += page.keyValues.length;
    if (found !== options.keys) throw new Error(`${found} keys were mirrored instead of ${options.keys}`);
    return { mirrorSeconds, ...(await usage(child.pid ?? 0)) };
  } finally {
    child.removeAllListeners('exit');
    child.kill('SIGKILL');
    client.close();
    await etcd.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** CPU time and the largest resident memory of a process, as the kernel counts them. */
async function usage(pid: number): Promise<{ cpuSeconds: number; memoryMegabytes: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const [user = '0', system = '0'] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const peak = /VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? '0';
  return { cpuSeconds: (Number(user) + Number(system)) / 100, memoryMegabytes: Number(peak) / 1024 };
}
