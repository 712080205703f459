/**
 * `GET /swagger.json`: what the status API answers, as an OpenAPI 2.0 document.
 *
 * It describes the answers of status.ts, the members of the original and ours; a test holds both against each other.
 */
import { MAX_LISTED_FINDINGS, MAX_REMOTE_CLUSTERS } from '../../shared/limits.ts';
import { VERSION } from '../../shared/version.ts';
import { FINDING_KINDS } from '../import-guard/findings.ts';
import type { FindingReport, ImportGuardReport } from '../import-guard/report.ts';
import type { RemoteClusterStatus, RemoteConfigStatus, RemoteSyncedStatus } from './status.ts';

type Schema = Readonly<Record<string, unknown>>;
/** Every member has a schema, and nothing else has: a member that is added is a type error here. */
type Members<Of> = Readonly<Record<keyof Of, Schema>>;

const count = (description: string): Schema => ({ type: 'integer', minimum: 0, description });
const flag = (description: string): Schema => ({ type: 'boolean', description });
const word = (description: string): Schema => ({ type: 'string', description });

const REMOTE_CLUSTER_CONFIG: Schema = {
  type: 'object',
  required: ['required'],
  properties: {
    required: flag('The configuration of the cluster is asked for'),
    retrieved: flag('It was found and can be used'),
    'cluster-id': count('ID of the cluster; absent for 0'),
    kvstoremesh: flag("The cluster's etcd holds a mirror"),
    'sync-canaries': flag('The cluster says which of its prefixes are complete'),
    'service-exports-enabled': flag('Whether the cluster exports services of the MCS API; absent where it does not know them'),
    'endpoint-slices-export-mode': word('How the cluster exports endpoint slices; absent where it exports services only'),
  } satisfies Members<RemoteConfigStatus>,
  additionalProperties: false,
};

const REMOTE_CLUSTER_SYNCED: Schema = {
  type: 'object',
  properties: {
    nodes: flag('The nodes were listed completely'),
    services: flag('The services were, or are not mirrored'),
    identities: flag('The identities were'),
    endpoints: flag('The endpoints were'),
    'endpoint-slices': flag('The endpoint slices were; absent where these are not mirrored'),
    'service-exports': flag('The service exports were; absent where these are not mirrored'),
  } satisfies Members<RemoteSyncedStatus>,
  additionalProperties: false,
};

const REMOTE_CLUSTER: Schema = {
  type: 'object',
  description: 'A remote cluster. Members that are false, zero or empty are left out.',
  required: ['last-failure', 'name', 'status', 'synced'],
  properties: {
    name: word('Name of the cluster'),
    connected: flag('Its etcd answers'),
    ready: flag('Connected, accepted, and completely listed'),
    status: word('The connection in words'),
    reason: word('Why the cluster is not mirrored as it should be, and what to do; not in the original'),
    'stopped-by': word('The bound that the cluster exceeds and is stopped for; not in the original'),
    'import-findings': {
      type: 'object',
      description: 'What the import guard has found, by kind; not in the original',
      properties: Object.fromEntries(FINDING_KINDS.map((kind) => [kind, count('Findings of this kind')])),
      additionalProperties: false,
    },
    config: { $ref: '#/definitions/RemoteClusterConfig' },
    synced: { $ref: '#/definitions/RemoteClusterSynced' },
    'num-nodes': count('Nodes that are mirrored'),
    'num-shared-services': count('Services that are mirrored'),
    'num-endpoints': count('Endpoints that are mirrored'),
    'num-identities': count('Identities that are mirrored'),
    'num-endpoint-slices': count('Endpoint slices that are mirrored'),
    'num-service-exports': count('Service exports that are mirrored'),
    'num-failures': count('Connections that were lost'),
    'last-failure': { type: 'string', format: 'date-time', description: 'When the last one was lost; the year 1 for never' },
  } satisfies Members<RemoteClusterStatus>,
  additionalProperties: false,
};

const IMPORT_GUARD_REPORT: Schema = {
  type: 'object',
  required: ['findings', 'mode'],
  properties: {
    mode: word('off, warn or drop'),
    truncated: flag('There are more findings than these'),
    findings: { type: 'array', maxItems: MAX_LISTED_FINDINGS, items: { $ref: '#/definitions/ImportFinding' } },
  } satisfies Members<ImportGuardReport>,
  additionalProperties: false,
};

const IMPORT_FINDING: Schema = {
  type: 'object',
  required: ['cluster', 'key', 'kind', 'problem'],
  properties: {
    cluster: word('The cluster whose key it is'),
    key: word('The key as it is mirrored'),
    kind: word('What is wrong, as a word'),
    'other-cluster': word('The cluster that has it too'),
    problem: word('What is wrong, as a sentence'),
  } satisfies Members<FindingReport>,
  additionalProperties: false,
};

const ERROR: Schema = {
  type: 'object',
  required: ['code', 'message'],
  properties: { code: { type: 'integer' }, message: { type: 'string' } },
};

const NO_ANSWER = { description: 'No such path, or a method other than GET', schema: { $ref: '#/definitions/Error' } };

export const OPENAPI = {
  swagger: '2.0',
  info: {
    title: 'KVStoreMesh',
    description: 'What kvstoremesh knows of the remote clusters',
    version: VERSION.version,
  },
  schemes: ['http'],
  basePath: '/v1',
  produces: ['application/json'],
  paths: {
    '/cluster': {
      get: {
        summary: 'The remote clusters, by name',
        tags: ['cluster'],
        responses: {
          200: {
            description: 'All clusters of the configuration directory; none where another replica leads',
            schema: { type: 'array', maxItems: MAX_REMOTE_CLUSTERS, items: { $ref: '#/definitions/RemoteCluster' } },
          },
          default: NO_ANSWER,
        },
      },
    },
    '/import-guard': {
      get: {
        summary: 'What the remote clusters hold that should not be theirs; not in the original',
        tags: ['cluster'],
        responses: {
          200: { description: 'The findings, key by key', schema: { $ref: '#/definitions/ImportGuardReport' } },
          default: NO_ANSWER,
        },
      },
    },
  },
  definitions: {
    ImportGuardReport: IMPORT_GUARD_REPORT,
    ImportFinding: IMPORT_FINDING,
    RemoteCluster: REMOTE_CLUSTER,
    RemoteClusterConfig: REMOTE_CLUSTER_CONFIG,
    RemoteClusterSynced: REMOTE_CLUSTER_SYNCED,
    Error: ERROR,
  },
} as const;
