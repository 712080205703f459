/** Two clusters and a kvstoremesh: `north`, whose etcd is the source, is mirrored into the etcd of `west`. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EtcdConfig } from '../../src/shared/etcd/config.ts';
import { keyOf, type Revision } from '../../src/shared/etcd/types.ts';
import { connect, fill } from '../ceiling.ts';
import { Credentials } from '../credentials.ts';
import { type Daemon, startDaemon } from '../daemon.ts';
import { announcements, type Entry } from '../dataset.ts';
import { type Etcd, startEtcd } from '../etcd.ts';
import type { RowContext } from '../frame/row.ts';
import type { Subject } from '../frame/subjects.ts';

export const SOURCE = 'north';
export const SOURCE_ID = 7;
export const LOCAL = 'west';
const LOCAL_ID = 2;

/** The kinds that have keys here. How many canaries of other kinds there are depends on the version of a program. */
const SYNCED = ['nodes', 'identities', 'ip', 'services'].map((kind) => keyOf(`cilium/synced/${SOURCE}/cilium/cache/${kind}/v1`));

/** The users that the bench and the mirror have in both etcds, where there are users. */
export const ROOT_USER = 'root';

/** An etcd as the options of the bench have it. */
export async function benchEtcd(context: RowContext, cluster: string): Promise<Etcd> {
  const { fsync, mtls } = context.options;
  if (!mtls) return startEtcd({ fsync });
  const credentials = await context.keep('credentials', async () => new Credentials());
  return startEtcd({ fsync, secured: { credentials, cluster } });
}

/** The etcd of `north` with `entries`, announced as synchronized. */
export async function filledSource(context: RowContext, entries: Iterable<Entry>): Promise<Etcd> {
  const etcd = await benchEtcd(context, SOURCE);
  await fill(etcd.config(ROOT_USER), entries);
  await fill(etcd.config(ROOT_USER), announcements(SOURCE, SOURCE_ID));
  return etcd;
}

export interface MirrorOptions {
  readonly subject: Subject;
  /** Both may be reached through a proxy. */
  readonly local: Pick<Etcd, 'config'>;
  /** Absent: no remote. */
  readonly source?: Pick<Etcd, 'config'>;
}

/** A kvstoremesh, and a directory with its configuration that is removed with it. */
export async function startMirror({ subject, local, source }: MirrorOptions): Promise<Daemon> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-mesh-'));
  const [remotes, own] = [join(directory, 'remotes'), join(directory, 'local.yaml')];
  await mkdir(remotes);
  await writeFile(own, clientFile(local.config(`admin-${LOCAL}`)));
  if (source !== undefined) await writeFile(join(remotes, SOURCE), clientFile(source.config('remote')));
  const daemon = await startDaemon({
    subject,
    command: 'kvstoremesh',
    flags: [
      ...[`--cluster-name=${LOCAL}`, `--cluster-id=${LOCAL_ID}`, `--clustermesh-config=${remotes}`],
      ...[`--kvstore-opt=etcd.config=${own}`, '--api-serve-addr=127.0.0.1:0'],
    ],
  });
  const remove = async () => {
    await daemon[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  };
  return { ...daemon, [Symbol.asyncDispose]: remove };
}

/** As etcd's clients read it. */
function clientFile({ endpoints, caFile, certFile, keyFile }: EtcdConfig): string {
  const tls = caFile === undefined ? [] : [`trusted-ca-file: ${caFile}`, `cert-file: ${certFile}`, `key-file: ${keyFile}`];
  return [`endpoints:`, ...endpoints.map((each) => `- ${each}`), ...tls, ''].join('\n');
}

/** Resolves with the time, by `performance.now`, when the last canary of `north` is in `local`. */
export async function synced(local: Etcd, daemon: Daemon): Promise<number> {
  const client = connect(local.config(ROOT_USER));
  const { signal } = daemon;
  try {
    const missing = new Set<string>(SYNCED);
    for await (const batch of client.watch(keyOf(`cilium/synced/${SOURCE}/`), { signal, from: 1 as Revision })) {
      if (batch.kind === 'events') for (const { key } of batch.events) missing.delete(key);
      if (missing.size === 0) return performance.now();
    }
    throw signal.reason;
  } finally {
    client.close();
  }
}

/** Keys of all mirrored clusters in `local`. Throws if there are not `expected`. */
export async function checkMirrored(local: Etcd, expected: number): Promise<void> {
  const client = connect(local.config(ROOT_USER));
  const { signal } = new AbortController();
  let found = 0;
  for await (const page of client.list(keyOf('cilium/cache/'), { signal, keysOnly: true })) found += page.keyValues.length;
  client.close();
  if (found !== expected) throw new Error(`${found} keys were mirrored instead of ${expected}`);
}
