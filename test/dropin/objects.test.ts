/** What Cilium's charts make of their values, which is what the image has to run with, is what Kubernetes takes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CertificateIssuer } from '../support/cilium-chart/certificates.ts';
import { ciliumChartObjects } from '../support/cilium-chart/chart.ts';
import { VERSIONS } from '../support/cilium-chart/versions.ts';
import { type KubeObject, referenceOf } from '../support/kube-object.ts';
import { type KubeApiserver, kubeApiserverMissing, startKubeApiserver } from '../support/kubernetes/kube-apiserver.ts';
import { opensslMissing } from '../support/tls/certificates.ts';
import { until } from '../support/until.ts';
import { matrix } from './matrix.ts';
import { podOfChart } from './pod/pod.ts';

const missing = kubeApiserverMissing() ?? opensslMissing();

describe.skipIf(missing !== undefined)(`the objects of Cilium's charts${missing === undefined ? '' : ` (${missing})`}`, () => {
  let kubernetes: KubeApiserver;
  const issuer = new CertificateIssuer();

  beforeAll(async () => {
    kubernetes = await startKubeApiserver();
    await until('the namespace exists', () => kubernetes.requests.get('/api/v1/namespaces/kube-system'));
  }, 180_000);

  afterAll(async () => {
    issuer[Symbol.dispose]();
    await kubernetes?.stop();
  }, 30_000);

  /** What the server says against `object`; undefined where it would take it. Nothing is stored. */
  async function refusal(object: KubeObject): Promise<string | undefined> {
    const { apiVersion, kind, metadata } = object;
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const scope = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
    const path = `${root}${scope}/${kind.toLowerCase()}s?dryRun=All&fieldValidation=Strict`;
    const { code, body } = await kubernetes.requests.send('POST', path, object);
    return code === 201 ? undefined : `${code} ${(body as { message?: string }).message}`;
  }

  test('are taken to the last field, and so is the Pod', { timeout: 120_000 }, async () => {
    const rows = matrix(issuer);
    expect(new Set(rows.map(({ options }) => options.version))).toEqual(new Set(VERSIONS));
    const refusals: string[] = [];
    for (const { name, options } of rows) {
      const objects = ciliumChartObjects(options);
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'pod', namespace: 'kube-system' },
        spec: podOfChart(objects),
      };
      for (const object of [...objects, pod]) {
        const said = await refusal(object);
        if (said !== undefined) refusals.push(`${name}: ${referenceOf(object)}: ${said}`);
      }
    }
    expect(refusals).toEqual([]);
  });
});
