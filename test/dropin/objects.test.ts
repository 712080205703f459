/** What Cilium's charts make of their values, which is what the image has to run with, is what Kubernetes takes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../chart/cluster/cluster.ts';
import { referenceOf } from '../chart/rendered/helm.ts';
import { kubeApiserverMissing } from '../support/kubernetes/kube-apiserver.ts';
import { opensslMissing } from '../support/tls/certificates.ts';
import { matrix } from './matrix.ts';
import { CertificateIssuer } from './objects/certificates.ts';
import { ciliumChartObjects } from './objects/chart.ts';
import { VERSIONS } from './objects/versions.ts';
import { podOfChart } from './pod/pod.ts';

const missing = kubeApiserverMissing() ?? opensslMissing();

describe.skipIf(missing !== undefined)(`the objects of Cilium's charts${missing === undefined ? '' : ` (${missing})`}`, () => {
  let cluster: Cluster;
  const issuer = new CertificateIssuer();

  beforeAll(async () => {
    cluster = await Cluster.start();
  }, 180_000);

  afterAll(async () => {
    issuer[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  }, 30_000);

  test('are taken to the last field, and so is the Pod', { timeout: 120_000 }, async () => {
    const rows = matrix(issuer);
    expect(new Set(rows.map(({ options }) => options.version))).toEqual(new Set(VERSIONS));
    const refusals: string[] = [];
    for (const { name, options } of rows) {
      const objects = ciliumChartObjects(options);
      // Namespaces have no rule for Pods there.
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod', namespace: 'default' }, spec: podOfChart(objects) };
      for (const object of [...objects, pod]) {
        const refusal = await cluster.refusal(object);
        if (refusal !== undefined) refusals.push(`${name}: ${referenceOf(object)}: ${refusal}`);
      }
    }
    expect(refusals).toEqual([]);
  });
});
