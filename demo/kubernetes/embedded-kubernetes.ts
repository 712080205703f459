/**
 * An in-process Kubernetes API, on the loopback interface unless told otherwise, for the demo and for tests.
 *
 * It creates, lists, watches, patches and deletes objects as a real API server does, for the kinds the project exports
 * and any that a CustomResourceDefinition adds. It refuses server-side apply, JSON patches and dry runs. It is
 * no cluster: nothing is scheduled, no controller runs, no credentials are asked for, and all is gone when it stops.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '../../src/shared/time/clock.ts';
import { EMBEDDED_VERSION } from './http/discovery.ts';
import { HttpExchange } from './http/http-exchange.ts';
import { type Api, handle } from './http/request-handler.ts';
import { customResourceDefinitionKind } from './kinds/custom-resource.ts';
import { KindRegistry } from './kinds/kind-registry.ts';
import { namespaceKind } from './kinds/namespace.ts';
import { apiVersionOf, type ResourceKind } from './kinds/resource-kind.ts';
import { kubeconfigText } from './kubeconfig.ts';
import { BOOKMARK_INTERVAL_MS, HISTORY_EVENTS, IDLE_CONNECTION_MS } from './limits.ts';
import { meshDefinitions } from './mesh-definitions.ts';
import { objectOr, parseJson } from './objects/json.ts';
import { ObjectStore } from './objects/object-store.ts';
import { ResourceRequests } from './writing/resource-requests.ts';

export interface EmbeddedOptions {
  /** 0 or absent: any free port. */
  readonly port?: number;
  /** Where it listens: an address of this machine. Defaults to 127.0.0.1: every client that reaches it may change everything. */
  readonly address?: string;
  /** Changes kept for watches and pages; older ones are answered with 410. Defaults to HISTORY_EVENTS. */
  readonly historyEvents?: number;
  /** Defaults to a minute, as a real API server has it. */
  readonly bookmarkIntervalMs?: number;
  /** Definitions of custom kinds served from the start. Defaults to those the project reads. */
  readonly definitions?: readonly unknown[];
  readonly clock?: Clock;
}

export interface EmbeddedKubernetes extends AsyncDisposable {
  readonly url: string;
  readonly version: string;
  /** The text of a kubeconfig that leads here. */
  readonly kubeconfig: string;
  /** The revision of the last change. */
  readonly revision: number;
  /** Forgets the history: watches and pages of earlier revisions get a 410. */
  compact(): void;
  /** Cuts every connection, idle or not; new ones are welcome. */
  disconnectAll(): void;
  /** Ends watches, connections and the server. Idempotent. */
  stop(): Promise<void>;
}

/** Namespaces every cluster has. */
const SYSTEM_NAMESPACES = ['default', 'kube-node-lease', 'kube-public', 'kube-system'];

/** Starts the API and resolves when it serves. */
export async function startEmbeddedKubernetes(options: EmbeddedOptions = {}): Promise<EmbeddedKubernetes> {
  const { port = 0, address = '127.0.0.1', historyEvents = HISTORY_EVENTS } = options;
  const { bookmarkIntervalMs = BOOKMARK_INTERVAL_MS, clock = systemClock } = options;
  const store = new ObjectStore(historyEvents);
  const requests = new ResourceRequests(store, clock);
  seed(requests, options.definitions ?? meshDefinitions);
  const api: Api = { store, kinds: new KindRegistry(store), requests, clock, bookmarkIntervalMs };
  const ending = new AbortController();
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    void handle(api, new HttpExchange(request, response, ending.signal));
  });
  // Longer than clients keep idle connections: one that is closed under a request looks like a fault.
  server.keepAliveTimeout = IDLE_CONNECTION_MS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= new Promise<void>((resolve) => {
      ending.abort();
      server.close(() => resolve());
      server.closeAllConnections();
    });
    return stopped;
  };
  return {
    url,
    version: EMBEDDED_VERSION,
    kubeconfig: kubeconfigText(url),
    get revision() {
      return store.revision;
    },
    compact: () => store.compact(),
    disconnectAll: () => server.closeAllConnections(),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function seed(requests: ResourceRequests, definitions: readonly unknown[]): void {
  const create = (kind: ResourceKind, body: unknown) => {
    const path = { kind, version: 'v1', apiVersion: apiVersionOf(kind.group, 'v1'), namespace: '', name: '', subresource: '' };
    // As a text the API shares nothing with its caller.
    requests.create(path, objectOr(parseJson(JSON.stringify(body))));
  };
  for (const name of SYSTEM_NAMESPACES) create(namespaceKind, { metadata: { name } });
  for (const definition of definitions) create(customResourceDefinitionKind, definition);
}
