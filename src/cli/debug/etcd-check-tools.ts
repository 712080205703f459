/** What the checks of an etcd take from the rest of the program. */
import { parseClusterConfig } from '../../kvstoremesh/cluster-config.ts';
import { createEtcdClient } from '../../shared/etcd/client.ts';
import { parseEtcdConfig } from '../../shared/etcd/config.ts';
import { silentLogger } from '../../shared/process/log.ts';
import { systemClock } from '../../shared/time/clock.ts';
import type { EtcdCheckTools } from '../../shared/troubleshoot/etcd-check.ts';

export const etcdCheckTools: EtcdCheckTools = {
  parseConfig: parseEtcdConfig,
  connect: (config, name) => createEtcdClient({ config, name, log: silentLogger, clock: systemClock, readOnly: true }),
  describe: parseClusterConfig,
  nowMs: () => systemClock.nowMs(),
};
