/** The parts of Kubernetes objects that the chart sets and that tests read. */

export interface EnvironmentVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly configMapKeyRef?: { readonly name: string; readonly key: string; readonly optional?: boolean };
    readonly fieldRef?: { readonly fieldPath: string };
  };
}

export interface ChartContainer {
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env: readonly EnvironmentVariable[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
  readonly readinessProbe?: { readonly httpGet: { readonly path: string; readonly port: string } };
  readonly securityContext?: object;
  readonly terminationMessagePolicy: string;
}

/** All keys of a Secret, or those of `items`. */
export interface SecretSource {
  readonly name: string;
  readonly optional?: boolean;
  readonly items?: readonly { readonly key: string; readonly path: string }[];
}

export interface ChartVolume {
  readonly name: string;
  readonly emptyDir?: { readonly medium?: string };
  readonly configMap?: SecretSource & { readonly defaultMode: number };
  readonly projected?: { readonly defaultMode: number; readonly sources: readonly { readonly secret: SecretSource }[] };
}

export interface ChartPod {
  readonly initContainers?: readonly ChartContainer[];
  readonly containers: readonly ChartContainer[];
  readonly volumes: readonly ChartVolume[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly serviceAccountName: string;
  readonly hostAliases?: readonly { readonly ip: string; readonly hostnames: readonly string[] }[];
  readonly [field: string]: unknown;
}
