/** The tracer that the flags of a daemon describe. */
import { asError } from '../errors.ts';
import { readBoundedFile } from '../files/bounded-file.ts';
import { FlagError } from '../flags/error.ts';
import { MAX_PEM_FILE_BYTES } from '../limits.ts';
import type { Runtime } from '../process/runtime.ts';
import { collectorUrl } from './collector.ts';
import { Tracer } from './tracer.ts';

export interface TraceFlags {
  readonly clusterName: string;
  readonly traceCaFile: string;
  readonly traceEndpoint: string;
  readonly traceSample: number;
}

/** Throws FlagError for an endpoint or a file that cannot be used. `service`: the name of the daemon. */
export async function openTracer(
  flags: TraceFlags,
  service: string,
  { clock, log, metrics }: Pick<Runtime, 'clock' | 'log' | 'metrics'>,
): Promise<Tracer> {
  const url = collectorUrl('trace-endpoint', flags.traceEndpoint);
  const { clusterName: localCluster, traceCaFile: file, traceSample: sampleOneIn } = flags;
  if (sampleOneIn < 1) throw new FlagError('--trace-sample: 0 is out of range; allowed: 1 for every change, or more');
  const ca = file === '' ? undefined : await authorityOf(file);
  return new Tracer({ service, localCluster, url, ca, sampleOneIn, clock, log, metrics });
}

async function authorityOf(file: string): Promise<string> {
  try {
    return (await readBoundedFile(file, MAX_PEM_FILE_BYTES)).toString('utf8');
  } catch (thrown) {
    throw new FlagError(`--trace-ca-file: ${asError(thrown).message}`);
  }
}
