/**
 * The environment of the daemon in a scenario: source clusters, the local etcd, and the configuration files.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EtcdProcess, startEtcd } from '../../../support/etcd/etcd-process.ts';
import { freePort } from '../../../support/network/free-port.ts';
import { recordedEtcd } from '../../recorded-etcd.ts';
import { loadEntries } from '../recording/entry-loading.ts';
import { readEntries } from '../recording/input-bytes.ts';
import type { Scenario } from '../recording/scenario.ts';
import type { ConfigAction, Store } from '../recording/scenario-actions.ts';
import type { DaemonSettings } from './daemon.ts';
import { ProjectedDirectory } from './projected-directory.ts';
import { SourceCluster } from './source-cluster.ts';

export class ScenarioStage {
  readonly scenario: Scenario;
  readonly local: EtcdProcess;
  readonly daemonSettings: Omit<DaemonSettings, 'flags'>;
  readonly #sources: ReadonlyMap<string, SourceCluster>;
  readonly #config: ProjectedDirectory;

  private constructor(
    scenario: Scenario,
    local: EtcdProcess,
    sources: ReadonlyMap<string, SourceCluster>,
    config: ProjectedDirectory,
    daemonSettings: Omit<DaemonSettings, 'flags'>,
  ) {
    this.scenario = scenario;
    this.local = local;
    this.daemonSettings = daemonSettings;
    this.#sources = sources;
    this.#config = config;
  }

  /** Everything as it is before the first step; files are made in `directory`. */
  static async open(scenario: Scenario, directory: string): Promise<ScenarioStage> {
    const local = await startEtcd(recordedEtcd());
    const entries = (file: string | undefined) => (file === undefined ? [] : readEntries(join(scenario.directory, file)));
    await loadEntries(local.endpoint, entries(scenario.localInitial));
    const sources = new Map<string, SourceCluster>();
    for (const [name, { initial, source, heartbeat, running }] of Object.entries(scenario.remotes)) {
      if (source !== undefined) continue;
      const started = await SourceCluster.start(entries(initial), heartbeat !== false);
      sources.set(name, started);
      if (running === false) await started.kill();
    }
    const etcdConfigFile = join(directory, 'etcd.yaml');
    writeFileSync(etcdConfigFile, `endpoints: [${local.endpoint}]\n`);
    const config = new ProjectedDirectory(directory, scenario.isProjected);
    const stage = new ScenarioStage(scenario, local, sources, config, {
      configDirectory: config.path,
      etcdConfigFile,
      healthPort: await freePort(),
      apiPort: await freePort(),
      metricsPort: await freePort(),
    });
    stage.#writeFirstConfig();
    return stage;
  }

  async close(): Promise<void> {
    await Promise.all([this.local.stop(), ...[...this.#sources.values()].map((source) => source.stop())]);
  }

  /** The source of a remote cluster, which may be that of another one. */
  source(remote: string): SourceCluster {
    const source = this.#sources.get(this.scenario.remotes[remote]?.source ?? remote);
    if (source === undefined) throw new Error(`the scenario has no source ${remote}`);
    return source;
  }

  endpointOf(store: Store): string {
    return store === 'local' ? this.local.endpoint : this.source(store.source).directEndpoint;
  }

  changeConfig({ change, cluster, to, content }: Omit<ConfigAction, 'type'>): void {
    if (change === 'remove') this.#config.remove(cluster);
    else if (content !== undefined) this.#config.set(cluster, this.#withEndpoints(content));
    else if (change === 'change' && to === undefined) this.#config.touch(cluster);
    else this.#config.set(cluster, this.#configOf(to ?? cluster));
    this.#config.publish();
  }

  #writeFirstConfig(): void {
    for (const [name, { config }] of Object.entries(this.scenario.remotes)) {
      if (config !== false) this.#config.set(name, this.#configOf(name));
    }
    for (const [name, text] of Object.entries(this.scenario.files)) this.#config.set(name, this.#withEndpoints(text));
    this.#config.publish();
  }

  #configOf(remote: string): string {
    return `endpoints:\n- ${this.source(remote).endpoint}\n`;
  }

  #withEndpoints(text: string): string {
    return text.replaceAll(/\{endpoint:([^}]*)\}/g, (_, remote: string) => this.source(remote).endpoint);
  }
}
