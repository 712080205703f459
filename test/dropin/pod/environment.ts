/** The environment of a container, and its arguments with it put in. */

import type { ChartContainer } from '../../support/cilium-chart/kinds.ts';
import { type KubeObject, referenceOf } from '../../support/kube-object.ts';

/** What a kubelet knows of a Pod. */
export interface PodFields {
  readonly 'metadata.uid': string;
  readonly 'status.podIP': string;
}

export function environmentOf(
  { env }: ChartContainer,
  objects: readonly KubeObject[],
  fields: PodFields,
): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { name, value, valueFrom = {} } of env) {
    const { configMapKeyRef: config, fieldRef } = valueFrom;
    const data = objects.find((object) => referenceOf(object) === `ConfigMap/${config?.name}`)?.data;
    const text = value ?? (fieldRef === undefined ? data?.[config?.key ?? ''] : fields[fieldRef.fieldPath as keyof PodFields]);
    if (text !== undefined) found[name] = text;
    else if (config?.optional !== true) throw new Error(`the container would not start: ${name} has no value`);
  }
  return found;
}

/** `$(NAME)` is replaced, as Kubernetes does, where there is such a variable. */
export function argumentsOf({ args }: ChartContainer, environment: Readonly<Record<string, string>>): readonly string[] {
  return args.map((argument) => argument.replaceAll(/\$\((\w+)\)/g, (whole, name: string) => environment[name] ?? whole));
}
