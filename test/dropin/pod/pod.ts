/**
 * A Pod of Cilium's chart as containers of podman: the arguments, environment, users, volumes, names and probes that a kubelet
 * would give them, with a read-only root besides.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { ChartContainer, ChartPod } from '../../support/cilium-chart/kinds.ts';
import type { Container, ImageEngine } from '../../support/containers/image-engine.ts';
import { onNetworkOf, requestOnNetworkOf } from '../../support/containers/pod-network.ts';
import { ETCDCTL } from '../../support/etcd/etcdctl.ts';
import type { KubeObject } from '../../support/kube-object.ts';
import { type Outcome, runChild } from '../../support/processes/child.ts';
import { until, within } from '../../support/until.ts';
import { argumentsOf, environmentOf, type PodFields } from './environment.ts';
import { type Forward, Network } from './network.ts';
import { mountVolume, writeOwned } from './volumes.ts';

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const KUBERNETES = '10.96.0.1';
/** `terminationGracePeriodSeconds` of the charts. */
const GRACE_MS = 30_000;

export interface PodOptions {
  readonly engine: ImageEngine;
  /** All that the chart made. */
  readonly objects: readonly KubeObject[];
  readonly ip: string;
  readonly uid: string;
  /** The account of the Pod; none where no container connects to Kubernetes. */
  readonly kubernetes?: { readonly token: string; readonly ca: string; readonly socket: string };
  /** What else it reaches. */
  readonly reaches?: readonly Forward[];
  /** The path of the socket through which others reach its etcd. */
  readonly etcdSocket?: string;
}

export function podOfChart(objects: readonly KubeObject[]): ChartPod {
  const [spec] = objects.filter(({ kind }) => kind === 'Deployment').map((object) => object.spec);
  return (spec as { template: { spec: ChartPod } }).template.spec;
}

export class RunningPod implements AsyncDisposable {
  readonly spec: ChartPod;
  readonly #options: PodOptions;
  readonly #network: Network;
  readonly #directory = mkdtempSync(join(tmpdir(), 'pod-'));
  readonly #containers = new Map<string, Container>();

  private constructor(options: PodOptions, network: Network) {
    this.#options = options;
    this.#network = network;
    this.spec = podOfChart(options.objects);
    const { fsGroup } = this.#security;
    for (const volume of this.spec.volumes) mountVolume(this.#at(volume.name), volume, options.objects, fsGroup);
    this.#makeMountPoints();
    if (options.kubernetes === undefined) return;
    mkdirSync(this.#at('account'));
    const mode = fsGroup === undefined ? 0o644 : 0o600;
    writeOwned(join(this.#at('account'), 'token'), options.kubernetes.token, mode, fsGroup);
    writeOwned(join(this.#at('account'), 'ca.crt'), options.kubernetes.ca, mode, fsGroup);
  }

  /** Runs the init containers to their end, and starts the others at once. */
  static async start(options: PodOptions): Promise<RunningPod> {
    const { ip, kubernetes, reaches = [], etcdSocket } = options;
    const api = kubernetes === undefined ? [] : [{ host: KUBERNETES, port: 443, socket: kubernetes.socket }];
    const inward = [...api, ...reaches];
    const outward = etcdSocket === undefined ? [] : [{ host: ip, port: 2379, socket: etcdSocket }];
    const network = await Network.start({ addresses: [ip, ...new Set(inward.map(({ host }) => host))], inward, outward });
    const pod = new RunningPod(options, network);
    try {
      for (const container of pod.spec.initContainers ?? []) {
        const started = await pod.#start(container);
        const status = await started.ended();
        if (status !== 0) throw new Error(`${container.name} ended with status ${status}: ${await started.logs()}`);
      }
      for (const container of pod.spec.containers) pod.#containers.set(container.name, await pod.#start(container));
      return pod;
    } catch (error) {
      await pod[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Resolves when every container that has a probe passes it. */
  async ready(): Promise<void> {
    for (const { name, readinessProbe, ports = [] } of this.spec.containers) {
      if (readinessProbe === undefined) continue;
      const { path, port } = readinessProbe.httpGet;
      const number = ports.find((each) => each.name === port)?.containerPort;
      await until(`${name} is ready`, async () => (await this.get(number ?? 0, path)).startsWith('200 ')).catch(
        async (error: Error) => {
          throw new Error(`${error.message}\n${await this.log(name)}`);
        },
      );
    }
  }

  /** The status and the body of the answer; empty without one. */
  get(port: number, path: string): Promise<string> {
    return requestOnNetworkOf(this.#network.pid, 'GET', `http://${this.#options.ip}:${port}${path}`);
  }

  async log(container: string): Promise<string> {
    return (await this.#containers.get(container)?.logs()) ?? '';
  }

  /** Runs etcdctl with the certificate of a Secret of `objects`, by default those of the Pod itself. */
  etcdctl(secret: string, args: readonly string[], objects = this.#options.objects): Promise<Outcome> {
    const directory = mkdtempSync(join(this.#directory, 'client-'));
    const items = ['tls.crt', 'tls.key', 'ca.crt'].map((key) => ({ key, path: key }));
    mountVolume(
      join(directory, 'tls'),
      { name: 'tls', projected: { defaultMode: 0o400, sources: [{ secret: { name: secret, items } }] } },
      objects,
    );
    const at = (file: string) => join(directory, 'tls', file);
    const files = [`--cacert=${at('ca.crt')}`, `--cert=${at('tls.crt')}`, `--key=${at('tls.key')}`];
    const endpoint = `--endpoints=https://127.0.0.1:2379`;
    return runChild(...onNetworkOf(this.#network.pid, ETCDCTL, endpoint, ...files, '--command-timeout=20s', ...args));
  }

  /** Ends all containers, as a kubelet does; the statuses by name. */
  async stop(): Promise<Readonly<Record<string, number>>> {
    for (const container of this.#containers.values()) await container.kill('SIGTERM');
    const statuses: Record<string, number> = {};
    for (const [name, container] of this.#containers) statuses[name] = await within(`${name} ends`, container.ended(), GRACE_MS);
    this.#containers.clear();
    return statuses;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const container of this.#containers.values()) await container.kill('SIGKILL').catch(() => undefined);
    this.#network[Symbol.dispose]();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  get #security(): { readonly runAsUser?: number; readonly runAsGroup?: number; readonly fsGroup?: number } {
    return this.spec.securityContext ?? {};
  }

  async #start(container: ChartContainer): Promise<Container> {
    const { engine, objects, ip, uid, kubernetes } = this.#options;
    const fields: PodFields = { 'metadata.uid': uid, 'status.podIP': ip };
    const environment = environmentOf(container, objects, fields);
    const access = { KUBERNETES_SERVICE_HOST: KUBERNETES, KUBERNETES_SERVICE_PORT: '443' };
    const { runAsUser, runAsGroup, fsGroup } = this.#security;
    const aliases = this.spec.hostAliases ?? [];
    return engine.start(
      [
        `--network=ns:/proc/${this.#network.pid}/ns/net`,
        '--read-only',
        '--read-only-tmpfs=false',
        ...(container.securityContext === undefined ? [] : ['--cap-drop=ALL', '--security-opt=no-new-privileges']),
        ...(runAsUser === undefined ? [] : [`--user=${runAsUser}:${runAsGroup}`]),
        ...(fsGroup === undefined ? [] : [`--group-add=${fsGroup}`]),
        ...aliases.flatMap((alias) => alias.hostnames.map((name) => `--add-host=${name}:${alias.ip}`)),
        ...Object.entries({ ...environment, ...access }).map(([name, value]) => `--env=${name}=${value}`),
        ...container.volumeMounts.map(
          (mount) => `--volume=${this.#at(mount.name)}:${mount.mountPath}:${mount.readOnly ? 'ro' : 'rw'}`,
        ),
        ...(kubernetes === undefined ? [] : [`--volume=${this.#at('account')}:${ACCOUNT}:ro`]),
        `--entrypoint=${container.command.join(' ')}`,
      ],
      argumentsOf(container, environment),
    );
  }

  /** In a volume, for those that are mounted below it: it is read-only for who mounts them. */
  #makeMountPoints(): void {
    for (const { volumeMounts } of this.spec.containers)
      for (const outer of volumeMounts)
        for (const { mountPath } of volumeMounts)
          if (mountPath.startsWith(`${outer.mountPath}/`))
            mkdirSync(join(this.#at(outer.name), relative(outer.mountPath, mountPath)));
  }

  #at(volume: string): string {
    return join(this.#directory, volume);
  }
}
