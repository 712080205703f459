/**
 * Findings → problems and remedies: one line for each problem.
 *
 * Later steps fail because of an earlier one; only the first failure of an endpoint is reported.
 */

import { UnauthenticatedError } from '../etcd/errors.ts';
import { clusterConfigKey } from '../etcd/keyspace.ts';
import { EXPIRY_WARNING_MS, MAX_STATUS_TEXT_LENGTH } from '../limits.ts';
import { printable } from '../printable.ts';
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
export function verdictsOn(findings: EtcdFindings, surroundings: Surroundings): readonly string[] {
  return problemsOf(findings, surroundings).map((line) => printable(line, MAX_STATUS_TEXT_LENGTH));
}

function problemsOf(findings: EtcdFindings, { nowMs, ownName }: Surroundings): readonly string[] {
  const { config, path, endpoints } = findings;
  if (config.kind === 'unparsable') return [`${path} cannot be read as YAML: ${config.text}; correct the file`];
  if (config.kind === 'unusable') return [`${path} cannot be used: ${config.text}; ${config.remedy}`];
  const { warnings = [] } = config.config;
  if (endpoints.length === 0) return [`${path} has no endpoint; add the URL of the etcd to its endpoints`, ...warnings];
  const ways = endpoints.flatMap((endpoint) => endpointProblems(endpoint, config, nowMs));
  const ends = clientProblems(findings, config, ways.length > 0);
  return [...warnings, ...ways, ...ends, ...clusterProblems(findings, ownName), ...expiries(config, endpoints, nowMs)];
}

function endpointProblems(endpoint: EndpointFindings, config: Usable, nowMs: number): readonly string[] {
  const { url, host, resolved, tcp, tls } = endpoint;
  if (isFailure(resolved)) return [`${url}: ${resolutionProblem(host, resolved)}`];
  if (tcp.failed) return [`${url}: ${dialProblem(tcp, endpoint.address)}`];
  return tls === undefined ? [] : tlsVerdicts(endpoint, tls, config, nowMs).map((problem) => `${url}: ${problem}`);
}

function resolutionProblem(host: string, { code }: Failure): string {
  const remedy = 'check the spelling, or set its addresses with cilium-host-aliases (or hostAliases of the pod)';
  if (code === 'ENOTFOUND' || code === 'ENODATA') return `the name ${host} does not resolve; ${remedy}`;
  return `the name server does not respond for ${host}; check DNS in this pod, or set the addresses with cilium-host-aliases`;
}

function dialProblem({ code, text }: Failure, address: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return `nothing listens on ${address}; check the port (a NodePort differs from the port of the Service), and that the clustermesh-apiserver is running`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `there is no route to ${address}; check the address, and the routing between the networks`;
    case 'ETIMEDOUT':
    case DEADLINE:
      return `${address} does not respond; check the address, and the firewalls and security groups in between`;
    case 'ECONNRESET':
      return `${address} closes connections immediately; check the load balancers and proxies in between, and their backends`;
    default:
      return `no TCP connection to ${address}: ${text}`;
  }
}

function clientProblems({ client, endpoints }: EtcdFindings, config: Usable, isExplained: boolean): readonly string[] {
  if (client === undefined || client.kind === 'connected') return [];
  const user = config.client?.chain[0].commonName;
  if (client.kind === 'refused') {
    const who =
      user === undefined ? 'a client without a certificate' : `the user ${user} (the common name of the client certificate)`;
    const remedy = client.error instanceof UnauthenticatedError ? 'create the user' : 'grant the user a role that may read it';
    return [`etcd does not permit ${who} to read cilium/.heartbeat: ${remedy}, or use the certificate of another user`];
  }
  if (isExplained) return [];
  if (client.kind === 'created-not') return [client.error.message];
  const isPlain = endpoints.every(({ isSecure }) => !isSecure);
  const hint = isPlain ? 'the endpoint uses http: if the server requires TLS, use https' : 'does an etcd listen there?';
  return [`etcd unavailable: ${client.error.message}; ${hint}`];
}

function clusterProblems({ cluster, client }: EtcdFindings, ownName: string | undefined): readonly string[] {
  if (cluster === undefined || client?.kind !== 'connected' || client.cluster === undefined) return [];
  const { config, id, names, denied, isStalled } = client.cluster;
  const key = clusterConfigKey(cluster);
  const problems: string[] = [];
  if (isStalled) {
    problems.push(
      'small responses arrive but large ones do not: full-size packets may be lost; check the MTU between the clusters',
    );
  }
  if (config === 'absent') problems.push(absentProblem(key, names, ownName));
  if (config === 'malformed') problems.push(`the value of ${key} is invalid; check which program wrote it`);
  if (id === 0) problems.push(`${key} has ID 0, which is reserved; set a unique ID for that cluster`);
  const unreadable = [...(config === 'denied' ? [key] : []), ...denied];
  if (unreadable.length > 0) {
    problems.push(
      `etcd does not permit reading ${unreadable.join(', ')}; check that the file is named after the cluster, and that the role of the user may read it`,
    );
  }
  return problems;
}

function absentProblem(key: string, names: readonly string[], ownName: string | undefined): string {
  if (ownName !== undefined && names.includes(ownName)) {
    return `this is the etcd of the local cluster ${ownName}: it has no ${key}; check the address, two clusters may use the same NodePort`;
  }
  const others = names.length === 0 ? '' : `, only that of ${names.join(', ')}`;
  return `etcd has no ${key}${others}; rename the file to the name of the cluster, or correct the address`;
}

function expiries(config: Usable, endpoints: readonly EndpointFindings[], nowMs: number): readonly string[] {
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
      each.notAfterMs < nowMs ? [] : expiry(`${url}: the certificate of the server`, each, nowMs),
    ),
  ];
}

function expiry(whose: string, { notBeforeMs, notAfterMs }: Certificate, nowMs: number): readonly string[] {
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  if (notAfterMs < nowMs) return [`${whose} expired on ${day(notAfterMs)}; renew it`];
  if (notBeforeMs > nowMs) return [`${whose} is not valid before ${day(notBeforeMs)}; check the clocks`];
  if (notAfterMs - nowMs > EXPIRY_WARNING_MS) return [];
  return [`${whose} expires on ${day(notAfterMs)}; renew it soon`];
}
