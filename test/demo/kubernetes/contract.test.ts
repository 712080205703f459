/**
 * The contract of both Kubernetes APIs: the real one keeps every promise of the embedded one.
 */
import { afterAll, beforeAll, beforeEach, describe } from 'vitest';
import { type ProviderName, providerMissing, startKubernetes } from '../../support/kubernetes/kubernetes-provider.ts';
import { Api } from './contract-subject.ts';
import { listContract } from './list-contract.ts';
import { watchContract } from './watch-contract.ts';
import { writeContract } from './write-contract.ts';

const PROVIDERS: readonly ProviderName[] = ['embedded', 'real'];

describe.each(PROVIDERS)('the %s API', (name) => {
  const missing = providerMissing(name);
  let api: Api;

  beforeAll(async () => {
    if (missing === undefined) api = new Api(await startKubernetes(name));
  }, 90_000);

  afterAll(() => api?.provider.stop(), 30_000);

  beforeEach(async (context) => {
    context.skip(missing !== undefined, missing);
    await api.provider.clean();
    await api.provider.applyObject({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  });

  describe('listing', () => listContract(() => api));
  describe('watching', () => watchContract(() => api));
  describe('writing', () => writeContract(() => api));
});
