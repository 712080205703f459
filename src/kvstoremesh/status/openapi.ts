/**
 * `GET /swagger.json`: what the status API answers, as an OpenAPI 2.0 document.
 *
 * It describes the answers of status.ts, the members of the original and ours; a test holds both against each other. The data
 * of the status page is not part of it: its form belongs to the page and may change.
 */
import type { Finding } from '../../shared/diagnosis/finding.ts';
import { MIRRORED_KINDS } from '../../shared/etcd/keyspace.ts';
import { MAX_LISTED_FINDINGS, MAX_REMOTE_CLUSTERS } from '../../shared/limits.ts';
import { VERSION } from '../../shared/version.ts';
import { FINDING_KINDS } from '../import-guard/findings.ts';
import type { FindingReport, ImportGuardReport } from '../import-guard/report.ts';
import { REFUSALS } from '../import-policy/judge.ts';
import { MAX_LISTED_ADDRESSES } from '../import-policy/limits.ts';
import type { ImportedKindReport, ImportPolicyReport, OutsideReport, PolicyClusterReport } from '../import-policy/report.ts';
import type { PolicyStatus, QuarantineStatus, RemoteClusterStatus, RemoteConfigStatus, RemoteSyncedStatus } from './status.ts';

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
    required: flag('Whether a cluster config is required'),
    retrieved: flag('Whether a valid cluster config was retrieved'),
    'cluster-id': count('Cluster ID; absent if 0'),
    kvstoremesh: flag("Whether the cluster's etcd holds a mirror"),
    'sync-canaries': flag('Whether the cluster writes sync canaries'),
    'service-exports-enabled': flag('Whether the cluster exports MCS API services; absent if it does not support them'),
    'endpoint-slices-export-mode': word('How the cluster exports endpoint slices; absent if it exports services only'),
  } satisfies Members<RemoteConfigStatus>,
  additionalProperties: false,
};

const REMOTE_CLUSTER_SYNCED: Schema = {
  type: 'object',
  properties: {
    nodes: flag('Nodes are synchronized'),
    services: flag('Services are synchronized, or not mirrored'),
    identities: flag('Identities are synchronized'),
    endpoints: flag('Endpoints are synchronized'),
    'endpoint-slices': flag('Endpoint slices are synchronized; absent if not mirrored'),
    'service-exports': flag('Service exports are synchronized; absent if not mirrored'),
  } satisfies Members<RemoteSyncedStatus>,
  additionalProperties: false,
};

const REMOTE_CLUSTER: Schema = {
  type: 'object',
  description: 'A remote cluster. Members that are false, zero or empty are omitted.',
  required: ['last-failure', 'name', 'status', 'synced'],
  properties: {
    name: word('Name of the cluster'),
    connected: flag('Whether its etcd is connected'),
    ready: flag('Whether it is connected, accepted and completely listed'),
    status: word('Connection status as text'),
    reason: word('Why the cluster is not fully mirrored, and how to fix it; not in the original'),
    'stopped-by': word('The exceeded limit that stopped mirroring; not in the original'),
    'import-findings': {
      type: 'object',
      description: 'Findings of the import guard by kind; not in the original',
      properties: Object.fromEntries(FINDING_KINDS.map((kind) => [kind, count('Number of findings of this kind')])),
      additionalProperties: false,
    },
    'import-policy': {
      type: 'object',
      description: 'What the import policy leaves of the cluster; not in the original',
      required: ['kinds', 'match'],
      properties: {
        match: word('The match of the rule that applies'),
        kinds: { type: 'array', maxItems: MIRRORED_KINDS.length, items: { $ref: '#/definitions/ImportedKind' } },
        summary: word('The kinds as text; absent if everything is imported'),
      } satisfies Members<PolicyStatus>,
      additionalProperties: false,
    },
    quarantine: {
      type: 'object',
      description: 'An operator has frozen or withdrawn the mirror; not in the original',
      required: ['mode'],
      properties: {
        mode: word('freeze or withdraw'),
        reason: word('In the words of the operator'),
        since: word('RFC 3339'),
      } satisfies Members<QuarantineStatus>,
      additionalProperties: false,
    },
    config: { $ref: '#/definitions/RemoteClusterConfig' },
    synced: { $ref: '#/definitions/RemoteClusterSynced' },
    'num-nodes': count('Number of mirrored nodes'),
    'num-shared-services': count('Number of mirrored services'),
    'num-endpoints': count('Number of mirrored endpoints'),
    'num-identities': count('Number of mirrored identities'),
    'num-endpoint-slices': count('Number of mirrored endpoint slices'),
    'num-service-exports': count('Number of mirrored service exports'),
    'num-failures': count('Number of lost connections'),
    'last-failure': { type: 'string', format: 'date-time', description: 'Time of the last lost connection; year 1 if none' },
  } satisfies Members<RemoteClusterStatus>,
  additionalProperties: false,
};

const IMPORT_GUARD_REPORT: Schema = {
  type: 'object',
  required: ['findings', 'mode'],
  properties: {
    mode: word('off, warn or drop'),
    truncated: flag('Whether findings were omitted'),
    findings: { type: 'array', maxItems: MAX_LISTED_FINDINGS, items: { $ref: '#/definitions/ImportFinding' } },
  } satisfies Members<ImportGuardReport>,
  additionalProperties: false,
};

const IMPORT_FINDING: Schema = {
  type: 'object',
  required: ['cluster', 'key', 'kind', 'problem'],
  properties: {
    cluster: word('Cluster that owns the key'),
    key: word('The mirrored key'),
    kind: word('Kind of the finding'),
    'other-cluster': word('Other cluster with the same value'),
    problem: word('Description of the finding'),
  } satisfies Members<FindingReport>,
  additionalProperties: false,
};

const IMPORTED_KIND: Schema = {
  type: 'object',
  required: ['imported', 'kind'],
  properties: {
    kind: word(`One of ${MIRRORED_KINDS.join(', ')}`),
    imported: count('Number of imported keys'),
    of: count('Number of keys of the cluster; absent if the kind is not imported and not read'),
  } satisfies Members<ImportedKindReport>,
  additionalProperties: false,
};

const IMPORT_POLICY_REPORT: Schema = {
  type: 'object',
  required: ['clusters', 'outside', 'problems'],
  properties: {
    clusters: { type: 'array', maxItems: MAX_REMOTE_CLUSTERS, items: { $ref: '#/definitions/PolicyCluster' } },
    outside: { type: 'array', maxItems: MAX_LISTED_ADDRESSES, items: { $ref: '#/definitions/OutsideAddress' } },
    truncated: flag('Whether addresses were omitted'),
    problems: { type: 'array', items: { $ref: '#/definitions/Finding' } },
  } satisfies Members<ImportPolicyReport>,
  additionalProperties: false,
};

const FINDING: Schema = {
  type: 'object',
  required: ['check', 'evidence', 'group', 'remedy', 'subject', 'verdict'],
  properties: {
    check: word('ID of the check'),
    group: word('Heading of the check'),
    verdict: word('error, warning or unknown'),
    subject: word('The cluster, or what else it is about'),
    evidence: word('What was found'),
    remedy: word('What is to be done, and the command to run'),
  } satisfies Members<Finding>,
  additionalProperties: false,
};

const POLICY_CLUSTER: Schema = {
  type: 'object',
  required: ['cluster', 'kinds', 'refused'],
  properties: {
    cluster: word('Name of the cluster'),
    match: word('The match of its rule; absent if everything is imported'),
    kinds: { type: 'array', maxItems: MIRRORED_KINDS.length, items: { $ref: '#/definitions/ImportedKind' } },
    refused: {
      type: 'object',
      description: 'Keys and values that were refused, by reason',
      properties: Object.fromEntries(REFUSALS.map((reason) => [reason, count('Number of refused keys and values')])),
      additionalProperties: false,
    },
  } satisfies Members<PolicyClusterReport>,
  additionalProperties: false,
};

const OUTSIDE_ADDRESS: Schema = {
  type: 'object',
  required: ['address', 'cluster', 'key', 'kind', 'rule'],
  properties: {
    cluster: word('Name of the cluster'),
    key: word('The mirrored key'),
    kind: word('Kind of the key'),
    rule: word('podCIDRs or nodeCIDRs'),
    address: word('The first such address of the key'),
  } satisfies Members<OutsideReport>,
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
    description: 'Status of the remote clusters',
    version: VERSION.version,
  },
  schemes: ['http'],
  basePath: '/v1',
  produces: ['application/json'],
  paths: {
    '/cluster': {
      get: {
        summary: 'Remote clusters by name',
        tags: ['cluster'],
        responses: {
          200: {
            description: 'All clusters of the configuration directory; empty if another replica leads',
            schema: { type: 'array', maxItems: MAX_REMOTE_CLUSTERS, items: { $ref: '#/definitions/RemoteCluster' } },
          },
          default: NO_ANSWER,
        },
      },
    },
    '/import-guard': {
      get: {
        summary: 'Findings of the import guard; not in the original',
        tags: ['cluster'],
        responses: {
          200: { description: 'Findings by key', schema: { $ref: '#/definitions/ImportGuardReport' } },
          default: NO_ANSWER,
        },
      },
    },
    '/import-policy': {
      get: {
        summary: 'What the import policy keeps out; not in the original',
        tags: ['cluster'],
        responses: {
          200: { description: 'Rules, counts and addresses', schema: { $ref: '#/definitions/ImportPolicyReport' } },
          default: NO_ANSWER,
        },
      },
    },
  },
  definitions: {
    ImportPolicyReport: IMPORT_POLICY_REPORT,
    ImportedKind: IMPORTED_KIND,
    PolicyCluster: POLICY_CLUSTER,
    OutsideAddress: OUTSIDE_ADDRESS,
    Finding: FINDING,
    ImportGuardReport: IMPORT_GUARD_REPORT,
    ImportFinding: IMPORT_FINDING,
    RemoteCluster: REMOTE_CLUSTER,
    RemoteClusterConfig: REMOTE_CLUSTER_CONFIG,
    RemoteClusterSynced: REMOTE_CLUSTER_SYNCED,
    Error: ERROR,
  },
} as const;
