/** Rights in Kubernetes as text, `verb group/resource` and `verb group/resource/name`: what rules allow, what requests need. */
import type { ServerResponse } from 'node:http';
import { parse, stringify } from 'yaml';
import type { ProxiedRequest } from '../../support/kubernetes/faulty-kubernetes-proxy.ts';
import { NAMESPACE, type PolicyRule } from '../rendered/helm.ts';
import type { Cluster } from './cluster.ts';

/** Every single right of `rules`, sorted. */
export function rightsOf(rules: readonly PolicyRule[]): readonly string[] {
  return rules
    .flatMap(({ apiGroups, resources, resourceNames = [''], verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) =>
          resourceNames.flatMap((name) => verbs.map((verb) => `${verb} ${group}/${resource}${name && `/${name}`}`)),
        ),
      ),
    )
    .sort();
}

/** The rules without one of their rights. */
export function rulesWithout(rules: readonly PolicyRule[], right: string): readonly PolicyRule[] {
  return rightsOf(rules)
    .filter((each) => each !== right)
    .map((each) => {
      const [, verb = '', group = '', resource = '', name] = /^(\S+) ([^/]*)\/([^/]+)(?:\/(.+))?$/.exec(each) ?? [];
      const names = name === undefined ? {} : { resourceNames: [name] };
      return { apiGroups: [group], resources: [resource], verbs: [verb], ...names };
    });
}

/** The rights that the requests need, each once, sorted. Paths without a resource, such as /version, need none. */
export function requestedRights(requests: readonly ProxiedRequest[]): readonly string[] {
  return [...new Set(requests.flatMap((request) => rightOf(request) ?? []))].sort();
}

const OBJECTS = /^\/(?:api|apis\/([^/]+))\/v[^/]+\/(?:namespaces\/[^/]+\/(?=.))?([^/]+)(?:\/([^/]+))?$/;

function rightOf({ method, path, query }: ProxiedRequest): string | undefined {
  const [, group = '', resource, name] = OBJECTS.exec(path) ?? [];
  if (resource === undefined) return undefined;
  const reading = name !== undefined ? 'get' : query.get('watch') === 'true' || query.get('watch') === '1' ? 'watch' : 'list';
  const verb = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }[method] ?? reading;
  return `${verb} ${group}/${resource}${name === undefined ? '' : `/${name}`}`;
}

/** A kubeconfig with a token of a ServiceAccount in the namespace of the chart. */
export async function accountKubeconfig(cluster: Cluster, account: string): Promise<string> {
  const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${account}/token`;
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3_600 } };
  const { status } = (await cluster.requests.create(path, request)) as { status: { token: string } };
  return stringify({ ...(parse(cluster.kubeconfig) as object), users: [{ name: 'test', user: { token: status.token } }] });
}

/** A kubeconfig for a server that asks for neither certificates nor accounts. */
export function plainKubeconfig(server: string): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    users: [{ name: 'test', user: {} }],
  });
}

/** Servers before Kubernetes 1.32 have no streaming lists: what a role allows has to do for lists as well. */
export function refuseStreamingLists({ query }: ProxiedRequest, response: ServerResponse): boolean {
  if (!query.has('sendInitialEvents')) return false;
  response.writeHead(400, { 'content-type': 'application/json' }).end('{"kind":"Status","apiVersion":"v1","code":400}');
  return true;
}
