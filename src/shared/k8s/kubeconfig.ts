/**
 * Credentials from a kubeconfig or from the pod's service account, through @kubernetes/client-node.
 *
 * Only its knowledge of credentials is used: files and certificates, token files that rotate, exec
 * plugins. What it refuses or overlooks is put right before it sees the file: plain http servers are
 * allowed, and `tokenFile` is read (again and again, as the file rotates).
 */
import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { dirname, resolve } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { asError } from '../errors.ts';
import type { Access, Credentials } from './access.ts';
import { KubeConfigError, KubeCredentialsError } from './errors.ts';

/**
 * Reads the kubeconfig at `path`, or where that is '' the environment of a pod. Throws KubeConfigError
 * where it cannot be used at all; missing token or certificate files show up at the first `access`.
 */
export async function loadKubeConfig(path: string): Promise<Required<Credentials>> {
  const config = path === '' ? fromPod() : await fromFile(path);
  return new KubeConfigCredentials(path, config);
}

class KubeConfigCredentials implements Credentials {
  readonly server: URL;
  readonly #path: string;
  #config: KubeConfig;
  #pending: Promise<Access> | undefined;

  constructor(path: string, config: KubeConfig) {
    this.#path = path;
    this.#config = config;
    this.server = new URL(config.getCurrentCluster()?.server ?? '');
  }

  /** Several requests that start together share one reading, and so one run of an exec plugin. */
  access(): Promise<Access> {
    this.#pending ??= readAccess(this.#config).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async reload(): Promise<void> {
    this.#config = this.#path === '' ? fromPod() : await fromFile(this.#path);
  }
}

function fromPod(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromCluster();
  const server = config.getCurrentCluster()?.server ?? '';
  if (!URL.canParse(server)) {
    throw new KubeConfigError(
      'no Kubernetes API server is known: outside of a pod give --k8s-kubeconfig-path or --k8s-api-server-urls',
    );
  }
  return allowingPlainHttp(config);
}

async function fromFile(path: string): Promise<KubeConfig> {
  try {
    const raw: unknown = parse(await readFile(path, 'utf8'), { maxAliasCount: 10 });
    const config = new KubeConfig();
    config.loadFromString(JSON.stringify(withTokenFiles(raw, dirname(path))));
    config.makePathsAbsolute(dirname(path));
    checkUsable(config);
    return allowingPlainHttp(config);
  } catch (thrown) {
    // The cause may quote lines of the file, hence only its first line, which does not.
    const [reason = ''] = asError(thrown).message.split('\n');
    throw new KubeConfigError(`kubeconfig ${path}: ${reason}`);
  }
}

function checkUsable(config: KubeConfig): void {
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`its current context "${config.getCurrentContext() ?? ''}" names no cluster`);
  if (!URL.canParse(cluster.server)) throw new Error('the server of its current context is not a URL');
  if (cluster.proxyUrl !== undefined) throw new Error('proxy-url is not supported');
}

/** `tokenFile` of a user, which the library does not know, as the token file provider that it does know. */
function withTokenFiles(raw: unknown, directory: string): unknown {
  if (typeof raw !== 'object' || raw === null) throw new Error('is not a mapping');
  const users = (raw as { users?: unknown }).users;
  if (!Array.isArray(users)) return raw;
  return {
    ...raw,
    users: users.map((entry: { user?: { tokenFile?: unknown } | null } | null) => {
      const tokenFile = entry?.user?.tokenFile;
      if (typeof tokenFile !== 'string') return entry;
      const provider = { name: 'tokenFile', config: { tokenFile: resolve(directory, tokenFile) } };
      return { ...entry, user: { ...entry?.user, token: undefined, 'auth-provider': provider } };
    }),
  };
}

/** The library accepts http servers only along with the flag that switches verification off, which for them means nothing. */
function allowingPlainHttp(config: KubeConfig): KubeConfig {
  config.clusters = config.clusters.map((cluster) =>
    cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster,
  );
  return config;
}

async function readAccess(config: KubeConfig): Promise<Access> {
  const options: RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (thrown) {
    const [reason = ''] = asError(thrown).message.split('\n');
    throw new KubeCredentialsError(`cannot read the Kubernetes credentials: ${reason.slice(0, 200)}`);
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value).trim();
  if (typeof options.auth === 'string') headers.authorization = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  return {
    headers,
    tls: {
      ca: options.ca as Buffer | undefined,
      cert: options.cert as Buffer | string | undefined,
      key: options.key as Buffer | string | undefined,
      servername: options.servername,
      rejectUnauthorized: options.rejectUnauthorized ?? true,
    },
  };
}
