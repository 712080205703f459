/**
 * The actions of a scenario that concern what surrounds the daemon.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { callEtcd, prefixRange, putKey, readEtcd } from '../../../support/etcd/etcd-gateway.ts';
import { loadEntries } from '../recording/entry-loading.ts';
import { bytesOf, readEntries } from '../recording/input-bytes.ts';
import type { Action } from '../recording/scenario-actions.ts';
import type { ScenarioStage } from './scenario-stage.ts';

/** Actions on the daemon itself are not for the stage. */
export type StageAction = Exclude<Action, { readonly type: 'startDaemon' | 'stopDaemon' }>;

export async function carryOutOnStage(action: StageAction, stage: ScenarioStage): Promise<void> {
  switch (action.type) {
    case 'put':
      return putKey(stage.endpointOf(action.store), Buffer.from(action.key), bytesOf(action.value));
    case 'putFile':
      // One after the other: each has a revision of its own.
      for (const { key, value, ttlSeconds } of readEntries(join(stage.scenario.directory, action.file)))
        await putKey(stage.endpointOf(action.store), key, value, ttlSeconds);
      return;
    case 'loadFile':
      return loadEntries(stage.endpointOf(action.store), readEntries(join(stage.scenario.directory, action.file)));
    case 'delete': {
      const key = bytesOf(action.key).toString('base64');
      await callEtcd(stage.endpointOf(action.store), 'kv/deleterange', { key });
      return;
    }
    case 'deletePrefix':
      await callEtcd(stage.endpointOf(action.store), 'kv/deleterange', prefixRange(bytesOf(action.key)));
      return;
    case 'config':
      return stage.changeConfig(action);
    case 'restartLocal':
      await stage.local.kill();
      await pause(action.downMs);
      return stage.local.restart(action.wipe ? { wipe: true, clusterToken: randomUUID() } : {});
    case 'revokeLocalLeases':
      return revokeLeases(stage.local.endpoint);
    case 'wait':
      await pause(action.ms);
      return;
    default:
      return actOnSource(action, stage);
  }
}

type SourceAction = Extract<StageAction, { readonly source: string }>;

function actOnSource(action: SourceAction, stage: ScenarioStage): Promise<void> {
  const source = stage.source(action.source);
  switch (action.type) {
    case 'stopSource':
      return source.kill();
    case 'startSource':
      return source.restart();
    case 'wipeSource':
      return source.replace();
    case 'cut':
      return source.cutOff();
    case 'restore':
      return source.reconnect();
    case 'compact':
      return source.compact();
    case 'flip':
      return source.flipTo(stage.source(action.to));
  }
}

/** Every lease that holds keys, but for those of the leader lock and of clients that try whether etcd takes writes. */
async function revokeLeases(endpoint: string): Promise<void> {
  const held = (await readEtcd(endpoint)).filter(({ key }) => !/^cilium\/(?:kvstoremesh-lock|\.initlock)\//.test(key.toString()));
  const leases = new Set(held.map(({ leaseId }) => leaseId).filter((lease) => lease !== '0'));
  for (const ID of leases) await callEtcd(endpoint, 'lease/revoke', { ID });
}
