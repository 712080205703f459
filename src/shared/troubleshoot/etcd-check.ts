/** All checks of one etcd, those of its endpoints and of the client at the same time: none eats up the time of another. */
import { systemClock } from '../time/clock.ts';
import { type ClientCheckOptions, checkClient } from './client-check.ts';
import { type ConfigParser, readConfig } from './config-reading.ts';
import { probeEndpoint } from './endpoint-probe.ts';
import type { EtcdFindings } from './findings.ts';

/** What the checks need of the program around them. */
export interface EtcdCheckTools extends Pick<ClientCheckOptions, 'connect' | 'describe'> {
  readonly parseConfig: ConfigParser;
  /** Wall clock, milliseconds. */
  nowMs(): number;
}

export interface EtcdSubject {
  /** Absent for the local etcd. */
  readonly cluster: string | undefined;
  readonly path: string;
}

/** Never rejects; over when `timeoutMs` are, or soon after. `candidates`: see ClientCheckOptions. */
export async function checkEtcd(
  { cluster, path }: EtcdSubject,
  tools: EtcdCheckTools,
  timeoutMs: number,
  candidates: readonly string[] = [],
): Promise<EtcdFindings> {
  const config = await readConfig(path, tools.parseConfig);
  if (config.kind !== 'usable') return { cluster, path, config, endpoints: [], client: undefined };
  const deadline = new AbortController();
  const { signal } = deadline;
  systemClock.sleep(timeoutMs, signal).then(
    () => deadline.abort(),
    () => undefined,
  );
  const { authorities, client } = config;
  const { endpoints, hostAliases = new Map() } = config.config;
  const probe = { authorities, client, hostAliases, nowMs: tools.nowMs(), signal };
  try {
    const [probed, found] = await Promise.all([
      Promise.all(endpoints.map((url) => probeEndpoint(url, probe))),
      endpoints.length === 0
        ? undefined
        : checkClient({ ...tools, config: config.config, cluster, signal, timeoutMs, candidates }),
    ]);
    return { cluster, path, config, endpoints: probed, client: found };
  } finally {
    deadline.abort();
  }
}
