/** The Pods that the objects of a chart start, and the parts of them that tests look at. */
import type { KubeObject } from './helm.ts';

export interface VolumeSource {
  readonly secret?: NamedSource & { readonly secretName?: string };
  readonly configMap?: NamedSource;
  readonly persistentVolumeClaim?: { readonly claimName: string };
  readonly [kind: string]: unknown;
}

export interface NamedSource {
  readonly name?: string;
  readonly optional?: boolean;
  readonly items?: readonly { readonly key: string; readonly path: string }[];
  readonly defaultMode?: number;
}

export interface Volume extends VolumeSource {
  readonly name: string;
  readonly projected?: { readonly sources: readonly VolumeSource[]; readonly defaultMode?: number };
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string | number };
  readonly periodSeconds: number;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly resources?: { readonly requests?: Record<string, string>; readonly limits?: Record<string, string> };
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
}

export interface PodTemplate {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly serviceAccountName?: string;
    readonly automountServiceAccountToken?: boolean;
    readonly securityContext: Readonly<Record<string, unknown>>;
    readonly initContainers?: readonly Container[];
    readonly containers: readonly Container[];
    readonly volumes?: readonly Volume[];
    readonly [field: string]: unknown;
  };
}

interface Workload {
  readonly template?: PodTemplate;
  /** Of a StatefulSet. */
  readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
  readonly jobTemplate?: { readonly spec: { readonly template: PodTemplate } };
}

/** The template of the Pods that `object` starts, with the claims of the first one; undefined where it starts none. */
export function podOf(object: KubeObject): PodTemplate | undefined {
  if (!['Deployment', 'StatefulSet', 'Job', 'CronJob'].includes(object.kind)) return undefined;
  const { template, jobTemplate } = object.spec as Workload;
  if (template === undefined) return jobTemplate?.spec.template;
  const volumes = claimsOf(object).map(({ name, claimName }) => ({ name, persistentVolumeClaim: { claimName } }));
  return volumes.length === 0 ? template : withVolumes(template, volumes);
}

/** The claims that a StatefulSet makes for its first Pod, and the names of their volumes. */
export function claimsOf({ metadata, spec }: KubeObject): readonly { readonly name: string; readonly claimName: string }[] {
  const { volumeClaimTemplates = [] } = (spec ?? {}) as Workload;
  return volumeClaimTemplates.map((claim) => ({
    name: claim.metadata.name,
    claimName: `${claim.metadata.name}-${metadata.name}-0`,
  }));
}

function withVolumes({ metadata, spec }: PodTemplate, volumes: readonly Volume[]): PodTemplate {
  return { metadata, spec: { ...spec, volumes: [...(spec.volumes ?? []), ...volumes] } };
}

export function containersOf({ spec }: PodTemplate): readonly Container[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

/** The Pod of the mesh. */
export function meshPod(objects: readonly KubeObject[]): PodTemplate {
  const workload = objects.find(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
  const pod = workload === undefined ? undefined : podOf(workload);
  if (pod === undefined) throw new Error('there is neither a Deployment nor a StatefulSet');
  return pod;
}

export function containerNamed(pod: PodTemplate, name: string): Container {
  const container = containersOf(pod).find((each) => each.name === name);
  if (container === undefined) throw new Error(`there is no container ${name}`);
  return container;
}
