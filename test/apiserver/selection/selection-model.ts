/** The exports of endpoints and identities with a selector, without Kubernetes and etcd; and what they should be, in plain words. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { endpointKind, IDENTITIES } from '../../../src/apiserver/cilium-kinds.ts';
import type { Pods } from '../../../src/apiserver/converters/pods.ts';
import { parseLabelSelector } from '../../../src/apiserver/export/label-selector.ts';
import { Namespaces } from '../../../src/apiserver/export/namespaces.ts';
import { ObjectRejections } from '../../../src/apiserver/export/object-rejections.ts';
import { EndpointCounts } from '../../../src/apiserver/export/selection/endpoint-counts.ts';
import { exportSelected } from '../../../src/apiserver/export/selection/selected-exports.ts';
import { ObjectStore } from '../../../src/apiserver/informers/object-store.ts';
import { Registry } from '../../../src/shared/http/metrics.ts';
import { namespaceProjection } from '../../../src/shared/kubernetes/objects/projections.ts';
import type { CiliumIdentity } from '../../../src/shared/kubernetes/objects/types.ts';
import { ObjectFeed, type ResourceHandler } from '../../../src/shared/kubernetes/reflector/object-feed.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { ManualClock } from '../../support/clocks.ts';
import type { Manifest } from '../cluster-model.ts';
import { Journal, type JournaledSection, journaledSection } from './journaled-section.ts';

export interface SelectionOptions {
  readonly selector: string;
  readonly usesEndpointSlices?: boolean;
  /** Turns that each confirmation takes; 1 by default. */
  readonly turns?: () => number;
  /** What an earlier run left in etcd. */
  readonly earlier?: Readonly<Record<string, string>>;
}

const IDENTITY_KEY = 'cilium/state/identities/v1/id/';
const SETTLING_TURNS = 120;
const LONGER_THAN_ANY_WAIT_MS = 60_000;

export class SelectionModel {
  readonly journal = new Journal();
  readonly counts = new EndpointCounts();
  readonly sections: Readonly<Record<'identities/v1' | 'ip/v1', JournaledSection>>;
  readonly #clock = new ManualClock();
  readonly #handlers: readonly { listed(): void }[];
  readonly #feeds: Readonly<Record<string, ObjectFeed<never>>>;

  constructor(options: SelectionOptions) {
    const { usesEndpointSlices = false, turns = () => 1, earlier = {} } = options;
    const selector = parseLabelSelector(options.selector);
    const ofEarlier = (isIdentity: boolean) =>
      Object.fromEntries(Object.entries(earlier).filter(([key]) => key.startsWith(IDENTITY_KEY) === isIdentity));
    this.sections = {
      'identities/v1': journaledSection(this.journal, turns, ofEarlier(true)),
      'ip/v1': journaledSection(this.journal, turns, ofEarlier(false)),
    };
    const namespaces = new Namespaces(true);
    const identities = new ObjectStore<CiliumIdentity>(IDENTITIES.namespaceOf);
    const kind = endpointKind(usesEndpointSlices, selector);
    const endpoints = new ObjectStore<Pods>(kind.namespaceOf);
    const rejections = new ObjectRejections(silentLogger, new Registry('test_'));
    const signal = new AbortController().signal;
    const context = { cluster: { name: 'east', id: 7 }, namespaces, rejections, clock: this.#clock, signal };
    const { sections, counts } = this;
    exportSelected(context, { selector, identities, endpoints, sections, counts, log: silentLogger });
    const feed = <T>(project: (raw: unknown) => T, handler: ResourceHandler<T>) =>
      new ObjectFeed<T>({ project, handler, log: silentLogger, onRejected: () => undefined }) as ObjectFeed<never>;
    this.#feeds = {
      Namespace: feed(namespaceProjection([]), namespaces),
      CiliumIdentity: feed(IDENTITIES.project, identities),
      [kind.resource.kind]: feed(kind.project, endpoints),
    };
    this.#handlers = [namespaces, identities, endpoints];
  }

  apply(...manifests: readonly Manifest[]): void {
    for (const manifest of manifests) this.#feeds[manifest.kind]?.upsert(manifest);
  }

  remove({ kind, metadata }: Manifest): void {
    this.#feeds[kind]?.remove({ metadata: { namespace: '', ...metadata } });
  }

  listed(): void {
    for (const handler of this.#handlers) handler.listed();
  }

  /** Changes so far are evaluated, and nearly all are confirmed; no time has passed. */
  async turns(): Promise<void> {
    for (let turn = 0; turn < SETTLING_TURNS; turn += 1) await nextTurn();
  }

  /** Everything is evaluated and confirmed, and nothing is waited for any more. */
  async settled(): Promise<void> {
    for (let round = 0; round < 3; round += 1) {
      await this.turns();
      await this.#clock.advance(LONGER_THAN_ANY_WAIT_MS);
    }
    await this.turns();
  }

  /** Numbers of the exported identities, and addresses with the Pod and identity in their values. */
  exported(): { readonly identities: string[]; readonly addresses: Record<string, string> } {
    const identities = Object.keys(this.sections['identities/v1'].texts()).map((key) => key.slice(IDENTITY_KEY.length));
    const addresses = Object.values(this.sections['ip/v1'].texts()).map((text) => {
      const { IP, ID, K8sNamespace, K8sPodName } = JSON.parse(text) as Record<string, string>;
      return [IP, `${K8sNamespace}/${K8sPodName} ${ID}`];
    });
    return { identities: identities.sort(), addresses: Object.fromEntries(addresses.sort()) };
  }
}
