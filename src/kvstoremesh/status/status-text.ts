/**
 * The response of the status API → the text of `kvstoremesh-dbg status`.
 *
 * The lines up to the notes are those of the original's command, byte by byte, because people and scripts
 * read them; the response may also be the original's. Additional notes follow them.
 */
import * as z from 'zod';
import { ProgramError } from '../../shared/errors.ts';
import { MAX_REMOTE_CLUSTERS, MAX_STATUS_TEXT_LENGTH } from '../../shared/limits.ts';
import { printable } from '../../shared/printable.ts';
import { formatDuration } from '../../shared/time/duration.ts';

/** What answers is no KVStoreMesh, or one whose form is not known. */
export class StatusFormError extends ProgramError {
  readonly code = 'STATUS_FORM';
  readonly retriable = false;
}

const flag = z.boolean().default(false);
const count = z.int().nonnegative().default(0);
/** Names and reasons may be of a remote's making. */
const text = z.string().transform((given) => printable(given, MAX_STATUS_TEXT_LENGTH));

const CLUSTER = z.object({
  name: text,
  ready: flag,
  connected: flag,
  status: text.default(''),
  reason: text.optional(),
  'import-policy': z.object({ summary: text.optional() }).optional(),
  config: z
    .object({
      required: flag,
      retrieved: flag,
      'cluster-id': count,
      kvstoremesh: flag,
      'sync-canaries': flag,
      'service-exports-enabled': z.boolean().nullish(),
      'endpoint-slices-export-mode': text.default(''),
    })
    .nullish(),
  synced: z
    .object({
      nodes: flag,
      endpoints: flag,
      identities: flag,
      services: flag,
      'endpoint-slices': z.boolean().nullish(),
      'service-exports': z.boolean().nullish(),
    })
    .nullish(),
  'num-nodes': count,
  'num-endpoints': count,
  'num-identities': count,
  'num-shared-services': count,
  'num-endpoint-slices': count,
  'num-service-exports': count,
  'num-failures': count,
  'last-failure': z.iso.datetime({ offset: true }).default('0001-01-01T00:00:00.000Z'),
});

const CLUSTERS = z.array(CLUSTER).max(MAX_REMOTE_CLUSTERS);

type ShownCluster = z.infer<typeof CLUSTER>;

export interface StatusTextOptions {
  /** The details of every cluster, not only of those that are not ready. */
  readonly verbose: boolean;
  /** Wall clock, for ages. */
  readonly nowMs: number;
}

/** The separator between the original's lines and the notes. */
export const NOTES = '\nNotes:\n';

/** `answer` is the parsed body of `GET /v1/cluster`. Throws StatusFormError where it has another form. */
export function statusText(answer: unknown, { verbose, nowMs }: StatusTextOptions): string {
  const parsed = CLUSTERS.safeParse(answer);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`;
    throw new StatusFormError(`the response is not the status of KVStoreMesh${where}; check --host`);
  }
  const clusters = parsed.data;
  const ready = clusters.filter((cluster) => cluster.ready).length;
  const lines = clusters.flatMap((cluster) => [
    summary(cluster, nowMs),
    ...(verbose || !cluster.ready ? details(cluster).map((detail) => `   └  ${detail}`) : []),
  ]);
  const notes = clusters.length === 0 ? [NO_CLUSTERS] : clusters.flatMap(notesOn);
  const head = `KVStoreMesh:\t${ready}/${clusters.length} remote clusters ready`;
  const documented = [head, ...lines].map((line) => `${line}\n`).join('');
  return notes.length === 0 ? documented : `${documented}${NOTES}${notes.map((note) => `   ${note}\n`).join('')}`;
}

const NO_CLUSTERS = 'no remote clusters: the configuration directory has none, or another replica leads';

function summary(cluster: ShownCluster, nowMs: number): string {
  const counts = [
    `${cluster['num-nodes']} nodes`,
    `${cluster['num-endpoints']} endpoints`,
    `${cluster['num-identities']} identities`,
    `${cluster['num-shared-services']} services`,
    `${cluster['num-endpoint-slices']} endpoint slices`,
    `${cluster['num-service-exports']} MCS-API service exports`,
    `${cluster['num-failures']} reconnections (last: ${age(cluster['last-failure'], nowMs)})`,
  ];
  return `   ${cluster.name}: ${cluster.ready ? 'ready' : 'not-ready'}, ${counts.join(', ')}`;
}

function details({ status, config, synced }: ShownCluster): readonly string[] {
  return [status, `remote configuration: ${configText(config)}`, `synchronization status: ${syncedText(synced)}`];
}

function configText(config: ShownCluster['config']): string {
  if (config === undefined || config === null) return 'expected=unknown, retrieved=unknown';
  const seen = `expected=${config.required}, retrieved=${config.retrieved}`;
  if (!config.retrieved) return seen;
  return [
    seen,
    `cluster-id=${config['cluster-id']}`,
    `kvstoremesh=${config.kvstoremesh}`,
    `sync-canaries=${config['sync-canaries']}`,
    `service-exports=${serviceExports(config['service-exports-enabled'])}`,
    `endpoint-slice-export-mode=${config['endpoint-slices-export-mode'] || 'services-only'}`,
  ].join(', ');
}

function serviceExports(enabled: boolean | null | undefined): string {
  if (enabled === undefined || enabled === null) return 'unsupported';
  return enabled ? 'enabled' : 'disabled';
}

function syncedText(synced: ShownCluster['synced']): string {
  const kinds: readonly (readonly [string, boolean | null | undefined])[] = [
    ['nodes', synced?.nodes ?? false],
    ['endpoints', synced?.endpoints ?? false],
    ['identities', synced?.identities ?? false],
    ['services', synced?.services ?? false],
    ['endpoint-slices', synced?.['endpoint-slices']],
    ['service-exports', synced?.['service-exports']],
  ];
  const known = kinds.filter(([, done]) => done !== undefined && done !== null);
  return known.map(([kind, done]) => `${kind}=${done}`).join(', ');
}

/** Whole seconds in Go's format; the year 1 means never. */
function age(time: string, nowMs: number): string {
  const thenMs = Date.parse(time);
  return thenMs <= Date.parse('0001-01-01T00:00:00Z')
    ? 'never'
    : `${formatDuration(Math.trunc((nowMs - thenMs) / 1000) * 1000)} ago`;
}

/** Why the cluster is not fully mirrored, and how to diagnose it. */
function notesOn({ name, reason, connected, ready, 'import-policy': policy }: ShownCluster): readonly string[] {
  const remedy = `run "kvstoremesh-dbg troubleshoot ${name}" to check the connection`;
  const imported = policy?.summary === undefined ? [] : [`${name}: ${policy.summary}`];
  if (reason !== undefined) return [connected ? `${name}: ${reason}` : `${name}: ${reason}; ${remedy}`, ...imported];
  return connected || ready ? imported : [`${name}: not connected; ${remedy}`, ...imported];
}
