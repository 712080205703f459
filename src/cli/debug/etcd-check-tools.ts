/** What the checks of an etcd take from the rest of the program. */

import { meshRoles } from '../../etcdinit/roles.ts';
import { parseClusterConfig } from '../../kvstoremesh/cluster-config.ts';
import { builtinUsers } from '../../shared/builtin-users.ts';
import type { DoctorTools } from '../../shared/doctor/tools.ts';
import { createEtcdClient } from '../../shared/etcd/client.ts';
import { parseEtcdConfig } from '../../shared/etcd/config.ts';
import { silentLogger } from '../../shared/process/log.ts';
import { systemClock } from '../../shared/time/clock.ts';

const surroundings = { log: silentLogger, clock: systemClock };

export const etcdCheckTools: DoctorTools = {
  parseConfig: parseEtcdConfig,
  connect: (config, name) => createEtcdClient({ ...surroundings, config, name, readOnly: true }),
  connectLocal: (config) => createEtcdClient({ ...surroundings, config, name: 'local' }),
  describe: parseClusterConfig,
  expectedUsers: (name) => ({ users: builtinUsers(name), roles: meshRoles(name) }),
  nowMs: () => systemClock.nowMs(),
};
