/** The ConfigMap and the Deployment of CoreDNS in the Kubernetes API: read, changed, restarted. */

import type { KubeConnection } from '../shared/kubernetes/connection/connection.ts';
import { KubeMissingError } from '../shared/kubernetes/errors.ts';
import { type JsonRecord, recordOf } from '../shared/kubernetes/objects/json.ts';
import type { Clock } from '../shared/time/clock.ts';
import { CorednsMissingError } from './errors.ts';
import type { CorednsFlags } from './flags.ts';

/** The key of the ConfigMap that CoreDNS reads, and that under which the original keeps the former text. */
const COREFILE = 'Corefile';
const BACKUP = 'Corefile.cilium.bak';

/** As in the original: on the template of the pods, so that a change of it replaces them. */
const RESTARTED_AT = 'clustermesh.cilium.io/autoPatchedAt';
const FIELD_MANAGER = 'mcsapi-coredns-autocfg';

export interface CorednsConfigMap {
  readonly corefile: string;
  /** An earlier run has changed it. */
  readonly isChangedByUs: boolean;
  readonly object: JsonRecord;
}

export interface CorednsDeployment {
  readonly image: string;
  readonly isPaused: boolean;
  /** An earlier run has restarted it. */
  readonly isRestartedByUs: boolean;
}

export class CorednsObjects {
  readonly #connection: KubeConnection;
  readonly #flags: CorednsFlags;
  readonly #signal: AbortSignal;

  constructor(connection: KubeConnection, flags: CorednsFlags, signal: AbortSignal) {
    this.#connection = connection;
    this.#flags = flags;
    this.#signal = signal;
  }

  get configMapName(): string {
    return `${this.#flags.corednsNamespace}/${this.#flags.corednsConfigmapName}`;
  }

  get deploymentName(): string {
    return `${this.#flags.corednsNamespace}/${this.#flags.corednsDeploymentName}`;
  }

  /** Throws CorednsMissingError or a KubeError. */
  async configMap(): Promise<CorednsConfigMap> {
    const what = `ConfigMap ${this.configMapName}`;
    const object = await this.#read(what, this.#configMapPath(), '--coredns-configmap-name');
    const data = recordOf(object.data);
    const corefile = data[COREFILE];
    if (typeof corefile === 'string') return { corefile, isChangedByUs: typeof data[BACKUP] === 'string', object };
    throw new CorednsMissingError(`${what} has no key ${COREFILE}; set --coredns-configmap-name; nothing was changed`);
  }

  /** Throws CorednsMissingError or a KubeError. */
  async deployment(): Promise<CorednsDeployment> {
    const what = `Deployment ${this.deploymentName}`;
    const spec = recordOf((await this.#read(what, this.#deploymentPath(), '--coredns-deployment-name')).spec);
    const template = recordOf(spec.template);
    const { containers } = recordOf(template.spec);
    const all = (Array.isArray(containers) ? containers : []).map(recordOf);
    const { image } = all.find(({ name }) => name === 'coredns') ?? all[0] ?? {};
    const annotations = recordOf(recordOf(template.metadata).annotations);
    return {
      image: typeof image === 'string' ? image : '',
      isPaused: spec.paused === true,
      isRestartedByUs: typeof annotations[RESTARTED_AT] === 'string',
    };
  }

  /** Fails with status 409 where the ConfigMap is no longer the one that was read. */
  async writeCorefile({ object, corefile: former }: CorednsConfigMap, corefile: string): Promise<void> {
    const data = { ...recordOf(object.data), [BACKUP]: former, [COREFILE]: corefile };
    await this.#connection.send({
      purpose: { verb: 'update', what: `ConfigMap ${this.configMapName}` },
      method: 'PUT',
      path: this.#configMapPath(),
      accept: 'application/json',
      contentType: 'application/json',
      content: JSON.stringify({ ...object, data }),
      signal: this.#signal,
    });
  }

  /** Replaces the pods, as `kubectl rollout restart` does. */
  async restart(clock: Clock): Promise<void> {
    const { corednsDeploymentName: name, corednsNamespace: namespace } = this.#flags;
    const annotations = { [RESTARTED_AT]: `${new Date(clock.nowMs()).toISOString().slice(0, 19)}Z` };
    const spec = { template: { metadata: { annotations } } };
    await this.#connection.send({
      purpose: { verb: 'patch', what: `Deployment ${this.deploymentName}` },
      method: 'PATCH',
      path: `${this.#deploymentPath()}?fieldManager=${FIELD_MANAGER}&force=true`,
      accept: 'application/json',
      contentType: 'application/apply-patch+yaml',
      content: JSON.stringify({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace }, spec }),
      signal: this.#signal,
    });
  }

  async #read(what: string, path: string, flag: string): Promise<JsonRecord> {
    const purpose = { verb: 'get', what } as const;
    try {
      return recordOf(await this.#connection.send({ purpose, path, accept: 'application/json', signal: this.#signal }));
    } catch (thrown) {
      if (!(thrown instanceof KubeMissingError)) throw thrown;
      const text = `there is no ${what}; set --coredns-namespace and ${flag}; nothing was changed`;
      throw new CorednsMissingError(text, { cause: thrown });
    }
  }

  #configMapPath(): string {
    const { corednsNamespace, corednsConfigmapName } = this.#flags;
    return `/api/v1/namespaces/${encodeURIComponent(corednsNamespace)}/configmaps/${encodeURIComponent(corednsConfigmapName)}`;
  }

  #deploymentPath(): string {
    const { corednsNamespace, corednsDeploymentName } = this.#flags;
    const namespace = `/apis/apps/v1/namespaces/${encodeURIComponent(corednsNamespace)}`;
    return `${namespace}/deployments/${encodeURIComponent(corednsDeploymentName)}`;
  }
}
