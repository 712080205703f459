/** The version of CoreDNS by the tag of its image. */
import { CorednsTooOldError } from './errors.ts';

/** The first with the option `multicluster`. */
const OLDEST = [1, 12, 2] as const;

/**
 * The version that `image` names by its tag (`registry:5000/coredns:v1.12.2-custom.1@sha256:…`); undefined where its tag
 * is no version. Throws CorednsTooOldError.
 */
export function checkedVersion(image: string): string | undefined {
  const [reference = ''] = image.split('@');
  const tag = /:([^:/]+)$/.exec(reference)?.[1] ?? '';
  const parts = /^v?(\d+)\.(\d+)\.(\d+)(?:[-+].*)?$/.exec(tag)?.slice(1).map(Number);
  if (parts === undefined) return undefined;
  const version = parts.join('.');
  const difference = OLDEST.map((oldest, index) => (parts[index] ?? 0) - oldest).find((part) => part !== 0) ?? 0;
  if (difference < 0) throw new CorednsTooOldError(version);
  return version;
}
