/** The volumes of a Pod as directories, with the owners and modes that a kubelet gives them. */
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChartVolume, SecretSource } from '../../support/cilium-chart/kinds.ts';
import { type KubeObject, referenceOf } from '../../support/kube-object.ts';

const ROOT = 0;
const READABLE_FOR_GROUP = 0o440;

/** Writes the volume to `directory`, which does not exist yet. */
export function mountVolume(directory: string, volume: ChartVolume, objects: readonly KubeObject[], fsGroup?: number): void {
  mkdirSync(directory, { recursive: true });
  // Of an emptyDir, and of the rest, which no container may write to.
  chmodSync(directory, 0o777);
  const { configMap, projected } = volume;
  const files = [
    ...(configMap === undefined ? [] : filesOf('ConfigMap', configMap, objects)),
    ...(projected?.sources ?? []).flatMap(({ secret }) => filesOf('Secret', secret, objects)),
  ];
  const mode = (projected ?? configMap)?.defaultMode ?? 0;
  for (const { name, content } of files) writeOwned(join(directory, name), content, mode, fsGroup);
}

export function writeOwned(path: string, content: string | Buffer, mode: number, fsGroup?: number): void {
  writeFileSync(path, content);
  chownSync(path, ROOT, fsGroup ?? ROOT);
  chmodSync(path, fsGroup === undefined ? mode : mode | READABLE_FOR_GROUP);
}

function filesOf(kind: 'ConfigMap' | 'Secret', { name, items, optional }: SecretSource, objects: readonly KubeObject[]) {
  const found = objects.find((object) => referenceOf(object) === `${kind}/${name}`);
  if (found === undefined && optional !== true) throw new Error(`the Pod would not start: there is no ${kind} ${name}`);
  const { data = {} } = found ?? {};
  return (items ?? Object.keys(data).map((key) => ({ key, path: key }))).map(({ key, path }) => {
    const text = data[key];
    if (text === undefined) throw new Error(`the Pod would not start: the ${kind} ${name} has no ${key}`);
    return { name: path, content: kind === 'Secret' ? Buffer.from(text, 'base64') : text };
  });
}
