/**
 * What Cilium's own chart makes for clustermesh-apiserver, with `clustermesh.useAPIServer` and `clustermesh.config.enabled`.
 *
 * The charts are not at hand where the tests run, so this is written from what is known of the last release of each minor
 * version: the differences between the versions are here, those within one are not. Where a release changed its chart in
 * between, the older form stands, which asks more of the image: addresses in brackets up to 1.17, no user in 1.15.
 */
import type { KubeObject } from '../kube-object.ts';
import { configuration } from './configuration.ts';
import { type CiliumChartOptions, valuesOf } from './options.ts';
import { account } from './rights.ts';
import { deployment, services } from './workload.ts';

/** The objects in an order in which they can be created. Each call signs new certificates. */
export function ciliumChartObjects(options: CiliumChartOptions): readonly KubeObject[] {
  const values = valuesOf(options);
  return [...account(values), ...configuration(values), ...services(values), deployment(values)];
}
