/** The flag `--enable-k8s`, which manifests set, and which allows nothing but true. */
import { FlagError } from '../../shared/flags/error.ts';

/** Throws FlagError if Kubernetes is disabled; `reason` explains why it is required. */
export function requireKubernetes({ enableK8s }: { readonly enableK8s: boolean }, reason: string): void {
  if (!enableK8s) throw new FlagError(`flag --enable-k8s: false is not supported: ${reason}; allowed: true`);
}
