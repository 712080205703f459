/**
 * Findings → problems and remedies: one line for each problem.
 *
 * Later steps fail because of an earlier one; only the first failure of an endpoint is reported.
 */

import { type PodCheckId, type Problem, problem } from '../diagnosis/pod-checks.ts';
import { CredentialsError, NoLeaderError, UnauthenticatedError } from '../etcd/errors.ts';
import { clusterConfigKey } from '../etcd/keyspace.ts';
import { EXPIRY_WARNING_MS } from '../limits.ts';
import type { Certificate } from '../tls/certificate.ts';
import { type ConfigFindings, type EndpointFindings, type EtcdFindings, type Failure, isFailure } from './findings.ts';
import { DEADLINE } from './go-errors.ts';
import { tlsVerdicts } from './tls-verdicts.ts';

export interface Surroundings {
  /** Wall clock. */
  readonly nowMs: number;
  /** The local cluster, where it is known. */
  readonly ownName: string | undefined;
}

type Usable = Extract<ConfigFindings, { kind: 'usable' }>;

/** The problems of one etcd; empty if there are none. */
export function problemsOf(findings: EtcdFindings, { nowMs, ownName }: Surroundings): readonly Problem[] {
  const { config, path, endpoints } = findings;
  if (config.kind === 'unparsable')
    return [problem('config-file', `${path} cannot be read as YAML: ${config.text}`, 'correct the file')];
  if (config.kind === 'unusable') return [problem(config.check, `${path} cannot be used: ${config.text}`, config.remedy)];
  const warnings = (config.config.warnings ?? []).map((text) => problem('config-file', text, '', 'warning'));
  if (endpoints.length === 0)
    return [problem('config-file', `${path} has no endpoint`, 'add the URL of the etcd to its endpoints'), ...warnings];
  const ways = endpoints.flatMap((endpoint) => endpointProblems(endpoint, config, nowMs));
  const ends = clientProblems(findings, config, ways.length > 0);
  return [...warnings, ...ways, ...ends, ...clusterProblems(findings, ownName), ...expiries(config, endpoints, nowMs)];
}

function endpointProblems(endpoint: EndpointFindings, config: Usable, nowMs: number): readonly Problem[] {
  return stepProblems(endpoint, config, nowMs).map((each) => ({ ...each, evidence: `${endpoint.url}: ${each.evidence}` }));
}

function stepProblems(endpoint: EndpointFindings, config: Usable, nowMs: number): readonly Problem[] {
  const { host, resolved, tcp, tls } = endpoint;
  if (isFailure(resolved)) return [resolutionProblem(host, resolved)];
  if (tcp.failed) return [dialProblem(tcp, endpoint.address)];
  if (endpoint.speaks === 'tls')
    return [problem('tls-mismatch', 'the server requires TLS, and the endpoint uses http', 'use https')];
  return tls === undefined ? [] : tlsVerdicts(endpoint, tls, config, nowMs);
}

function resolutionProblem(host: string, { code }: Failure): Problem {
  if (code === 'ENOTFOUND' || code === 'ENODATA') {
    const remedy = 'check the spelling, or set its addresses with cilium-host-aliases (or hostAliases of the pod)';
    return problem('dns', `the name ${host} does not resolve`, remedy);
  }
  const remedy = 'check DNS in this pod, or set the addresses with cilium-host-aliases';
  return problem('dns', `the name server does not respond for ${host}`, remedy);
}

function dialProblem({ code, text }: Failure, address: string): Problem {
  switch (code) {
    case 'ECONNREFUSED':
      return problem(
        'tcp-refused',
        `nothing listens on ${address}`,
        'check the port (a NodePort differs from the port of the Service), and that the clustermesh-apiserver is running',
      );
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return problem('tcp-route', `there is no route to ${address}`, 'check the address, and the routing between the networks');
    case 'ETIMEDOUT':
    case DEADLINE:
      return problem(
        'tcp-silent',
        `${address} does not respond`,
        'check the address, and the firewalls, security groups and NetworkPolicies in between',
      );
    case 'ECONNRESET':
      return problem(
        'tcp-closed',
        `${address} closes connections immediately`,
        'check the load balancers and proxies in between, and their backends',
      );
    default:
      return problem('tcp-route', `no TCP connection to ${address}: ${text}`, 'check the address');
  }
}

function clientProblems({ client, endpoints }: EtcdFindings, config: Usable, isExplained: boolean): readonly Problem[] {
  if (client === undefined || client.kind === 'connected') return [];
  const user = config.client?.chain[0].commonName;
  if (client.kind === 'refused') {
    const who =
      user === undefined ? 'a client without a certificate' : `the user ${user} (the common name of the client certificate)`;
    const remedy = client.error instanceof UnauthenticatedError ? 'create the user' : 'grant the user a role that may read it';
    return [
      problem(
        'permission',
        `etcd does not permit ${who} to read cilium/.heartbeat`,
        `${remedy}, or use the certificate of another user`,
      ),
    ];
  }
  if (isExplained) return [];
  if (client.kind === 'created-not') {
    return [problem(client.error instanceof CredentialsError ? 'certificate-file' : 'config-file', client.error.message, '')];
  }
  if (client.error instanceof NoLeaderError)
    return [problem('etcd-leader', 'the etcd member has no leader: nothing is read or written', 'start the other members')];
  const evidence = `etcd unavailable: ${client.error.message}`;
  const isPlain = endpoints.every(({ isSecure }) => !isSecure);
  if (isPlain) return [problem('etcd-unavailable', evidence, 'the endpoint uses http: if the server requires TLS, use https')];
  return [problem('etcd-unavailable', evidence, 'does an etcd listen there?')];
}

function clusterProblems({ cluster, client, config: file }: EtcdFindings, ownName: string | undefined): readonly Problem[] {
  if (cluster === undefined || client?.kind !== 'connected' || client.cluster === undefined) return [];
  const { config, id, names, denied, isStalled } = client.cluster;
  const key = clusterConfigKey(cluster);
  const problems: Problem[] = [];
  if (isStalled) {
    const evidence = 'small responses arrive but large ones do not: full-size packets may be lost';
    problems.push(problem('mtu', evidence, 'check the MTU between the clusters'));
  }
  const isOther = config === 'denied' && names.length > 0;
  if (config === 'absent' || isOther) problems.push(absentProblem(key, names, ownName));
  if (config === 'malformed')
    problems.push(problem('cluster-config', `the value of ${key} is invalid`, 'check which program wrote it'));
  if (id === 0) problems.push(problem('cluster-id', `${key} has ID 0, which is reserved`, 'set a unique ID for that cluster'));
  const unreadable = isOther ? [] : [...(config === 'denied' ? [key] : []), ...denied];
  if (unreadable.length > 0) {
    const user = file.kind === 'usable' ? file.client?.chain[0].commonName : undefined;
    problems.push(
      problem(
        'permission',
        `etcd does not permit ${user === undefined ? '' : `the user ${user} `}reading ${unreadable.join(', ')}`,
        'check that the file is named after the cluster, and that the role of the user may read it',
      ),
    );
  }
  return problems;
}

function absentProblem(key: string, names: readonly string[], ownName: string | undefined): Problem {
  if (ownName !== undefined && names.includes(ownName)) {
    return problem(
      'own-cluster',
      `this is the etcd of the local cluster ${ownName}: it has no ${key}`,
      'check the address, two clusters may use the same NodePort',
    );
  }
  const remedy = 'rename the file to the name of the cluster, or correct the address';
  if (names.length === 0) return problem('cluster-config', `etcd has no ${key}`, remedy);
  return problem('wrong-cluster', `etcd has no ${key}, only that of ${names.join(', ')}`, remedy);
}

function expiries(config: Usable, endpoints: readonly EndpointFindings[], nowMs: number): readonly Problem[] {
  const [client] = config.client?.chain ?? [];
  const servers = new Map(
    endpoints.flatMap(({ url, tls }) =>
      tls === undefined || tls.failed
        ? []
        : tls.certificates.slice(0, 1).map((each) => [each.serialNumber, { url, each }] as const),
    ),
  );
  return [
    ...(config.authorities?.certificates ?? []).flatMap((each) => expiry(`the CA certificate ${each.subject}`, each, nowMs)),
    ...(client === undefined ? [] : expiry(`the client certificate ${client.subject}`, client, nowMs)),
    ...[...servers.values()].flatMap(({ url, each }) =>
      each.notAfterMs < nowMs || each.notBeforeMs > nowMs ? [] : expiry(`${url}: the certificate of the server`, each, nowMs),
    ),
  ];
}

function expiry(whose: string, { notBeforeMs, notAfterMs }: Certificate, nowMs: number): readonly Problem[] {
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  const found = (check: PodCheckId, evidence: string, remedy: string, verdict: Problem['verdict'] = 'error') => [
    problem(check, `${whose} ${evidence}`, remedy, verdict),
  ];
  if (notAfterMs < nowMs) return found('certificate-expired', `expired on ${day(notAfterMs)}`, 'renew it');
  if (notBeforeMs > nowMs) return found('certificate-expired', `is not valid before ${day(notBeforeMs)}`, 'check the clocks');
  if (notAfterMs - nowMs > EXPIRY_WARNING_MS) return [];
  return found('certificate-expires', `expires on ${day(notAfterMs)}`, 'renew it soon', 'warning');
}
