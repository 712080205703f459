/** A Pod of the chart as processes of this machine: its volumes as directories, its containers with the arguments that they have. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { type Child, startChild } from '../../support/processes/child.ts';
import { until } from '../../support/until.ts';
import { type KubeObject, referenceOf } from '../rendered/helm.ts';
import { type Container, containerNamed, meshPod, type PodTemplate, type Probe, type VolumeSource } from '../rendered/pods.ts';

const LAUNCHER = fileURLToPath(new URL('../../../bin/clustermesh-apiserver', import.meta.url));

/** Of the image, not of the chart. */
const ETCD_CONFIG = '/var/lib/cilium/etcd-config.yaml';

export interface PodOptions {
  /** All of a release. */
  readonly objects: readonly KubeObject[];
  /** In place of 2379. All other ports are values of the chart. */
  readonly etcdPort: number;
  /** In place of the account of the Pod. */
  readonly kubeconfig: string;
  /** In place of the volume of etcd; kept. */
  readonly dataDirectory?: string;
  /** The containers to start, besides that of initialisation; all unless given. */
  readonly only?: readonly string[];
}

export class RunningPod implements AsyncDisposable {
  readonly pod: PodTemplate;
  readonly #options: PodOptions;
  readonly #directory = mkdtempSync(join(tmpdir(), 'pod-test-'));
  readonly #etcdBinary: string;
  readonly #children = new Map<string, Child>();

  private constructor(options: PodOptions) {
    this.#options = options;
    this.pod = meshPod(options.objects);
    this.#etcdBinary = etcdVersions().at(-1)?.path ?? '';
    this.#mountVolumes();
    const secrets = this.#volume('etcd-admin-client');
    const files = { 'trusted-ca-file': 'ca.crt', 'cert-file': 'tls.crt', 'key-file': 'tls.key' };
    const lines = Object.entries(files).map(([field, file]) => `${field}: ${join(secrets, file)}\n`);
    writeFileSync(this.#at('etcd-config.yaml'), `endpoints:\n- ${this.endpoint}\n${lines.join('')}`);
    writeFileSync(this.#at('kubeconfig'), options.kubeconfig);
    // Where etcdinit looks for it.
    mkdirSync(this.#at('bin'));
    symlinkSync(this.#etcdBinary, this.#at('bin/etcd'));
  }

  /** Runs the init container to its end, and starts the others at once, as a kubelet does. */
  static async start(options: PodOptions): Promise<RunningPod> {
    const pod = new RunningPod(options);
    try {
      for (const container of pod.pod.spec.initContainers ?? []) {
        const { status, stderr } = await pod.#start(container).outcome;
        if (status !== 0) throw new Error(`${container.name} ended with status ${status}: ${stderr}`);
      }
      for (const container of pod.#containers) pod.#start(container);
      return pod;
    } catch (error) {
      await pod[Symbol.asyncDispose]();
      throw error;
    }
  }

  get endpoint(): string {
    return `https://127.0.0.1:${this.#options.etcdPort}`;
  }

  /** Resolves when every container has passed its start-up probe, and then its readiness and liveness probes. */
  async ready(): Promise<void> {
    for (const container of this.#containers) {
      await this.#passes(container, container.startupProbe);
      await this.#passes(container, container.readinessProbe);
      await this.#passes(container, container.livenessProbe);
    }
  }

  /** Kills the container and starts it again. */
  async restart(name: string): Promise<void> {
    await this.#children.get(name)?.[Symbol.asyncDispose]();
    this.#start(containerNamed(this.pod, name));
  }

  /** Resolves with the status of the container when it has ended; undefined where a signal ended it. */
  async ended(container: string): Promise<number | undefined> {
    return (await this.#children.get(container)?.outcome)?.status;
  }

  /** What the container has written since it was started. */
  log(container: string): string {
    return this.#children.get(container)?.stderrSoFar ?? '';
  }

  /** The arguments of another Pod's container that reaches this etcd, with the files of the certificate `secret`. */
  clientArguments(secret: string): readonly string[] {
    const directory = this.#at(`clients/${secret}`);
    mkdirSync(directory, { recursive: true });
    this.#write(directory, { secret: { name: secret } });
    const file = (name: string) => join(directory, name);
    return [
      `--endpoints=${this.endpoint}`,
      `--cacert=${file('ca.crt')}`,
      `--cert=${file('tls.crt')}`,
      `--key=${file('tls.key')}`,
      '--command-timeout=20s',
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.values()) await child[Symbol.asyncDispose]();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  get #containers(): readonly Container[] {
    const { only } = this.#options;
    return this.pod.spec.containers.filter(({ name }) => only?.includes(name) ?? true);
  }

  #start(container: Container): Child {
    const [program = ''] = container.command;
    const isEtcd = program === '/usr/bin/etcd';
    const path = isEtcd ? this.#etcdBinary : LAUNCHER;
    const args = this.#withKubernetes(container.args.map((argument) => this.#here(argument, container)));
    const env = { PATH: `${this.#at('bin')}:${process.env.PATH ?? ''}`, CLUSTERMESH_NODE: process.execPath };
    const child = startChild(path, args, { env });
    this.#children.set(container.name, child);
    return child;
  }

  /** The flags of kvstoremesh follow those of the apiserver in a container with both. */
  #withKubernetes([command = '', ...flags]: readonly string[]): readonly string[] {
    const kubeconfig = `--k8s-kubeconfig-path=${this.#at('kubeconfig')}`;
    // In place of the files of the service account.
    const namespace = this.#options.objects.find(({ kind }) => kind === 'ServiceAccount')?.metadata.namespace;
    const ofKvstoremesh = [kubeconfig, `--k8s-namespace=${namespace}`];
    if (command === 'kvstoremesh') return [command, ...ofKvstoremesh, ...flags];
    if (command === 'clustermesh') return [command, kubeconfig, ...flags];
    return command === 'combined' ? [command, kubeconfig, ...flags, ...ofKvstoremesh] : [command, ...flags];
  }

  /** An argument of a container with the paths and ports of this machine. */
  #here(argument: string, { volumeMounts = [] }: Container): string {
    if (argument.startsWith('--listen-client-urls=')) return `--listen-client-urls=${this.endpoint}`;
    const replaced = argument.replace('$(INITIAL_CLUSTER_TOKEN)', `token-${this.#options.etcdPort}`);
    if (replaced.endsWith(`=${ETCD_CONFIG}`)) return replaced.replace(ETCD_CONFIG, this.#at('etcd-config.yaml'));
    const mount = volumeMounts.find(({ mountPath }) => replaced.includes(`=${mountPath}`));
    return mount === undefined ? replaced : replaced.replace(mount.mountPath, this.#volume(mount.name));
  }

  async #passes(container: Container, probe: Probe | undefined): Promise<void> {
    if (probe === undefined) throw new Error(`${container.name} lacks a probe`);
    const port = container.ports?.find(({ name }) => name === probe.httpGet.port)?.containerPort;
    const url = `http://127.0.0.1:${port}${probe.httpGet.path}`;
    await until(`${container.name} answers ${url}`, async () => (await fetch(url)).ok, {
      withinMs: 60_000,
      status: () => this.log(container.name).slice(-2_000),
    });
  }

  #mountVolumes(): void {
    for (const volume of this.pod.spec.volumes ?? []) {
      const directory = this.#volume(volume.name);
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      for (const source of volume.projected?.sources ?? [volume]) this.#write(directory, source);
    }
  }

  #write(directory: string, { secret, configMap }: VolumeSource): void {
    const named = secret ?? configMap;
    if (named === undefined) return;
    const reference = `${secret === undefined ? 'ConfigMap' : 'Secret'}/${named.name}`;
    const data = this.#options.objects.find((object) => referenceOf(object) === reference)?.data ?? {};
    for (const { key, path } of named.items ?? Object.keys(data).map((key) => ({ key, path: key }))) {
      const value = data[key];
      if (value === undefined) continue;
      const text = secret === undefined ? value : Buffer.from(value, 'base64').toString();
      // A client file of etcd names files beside it.
      writeFileSync(join(directory, path), text.replaceAll('/var/lib/cilium/clustermesh/', `${directory}/`), { mode: 0o400 });
    }
  }

  #volume(name: string): string {
    const { dataDirectory } = this.#options;
    if (name === 'etcd-data-dir' && dataDirectory !== undefined) return dataDirectory;
    return this.#at(`volumes/${name}`);
  }

  #at(name: string): string {
    return join(this.#directory, name);
  }
}
