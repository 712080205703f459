/**
 * Credentials from a kubeconfig or from the pod's service account.
 *
 * Files are read again for each request, as they rotate, without blocking and with a bound. Exec plugins and providers are left to
 * @kubernetes/client-node, which sees nothing else of the file.
 */
import type { RequestOptions } from 'node:https';
import { join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { asError } from '../../errors.ts';
import { readBoundedFile } from '../../files/bounded-file.ts';
import { MAX_PEM_FILE_BYTES, MAX_TOKEN_FILE_BYTES } from '../../limits.ts';
import { KubeConfigError, KubeCredentialsError } from '../errors.ts';
import type { Access, Credentials } from './access.ts';
import { type KubeConfigFile, type KubeConfigUser, type Material, readKubeConfigFile } from './kubeconfig-file.ts';
import type { Environment } from './proxy.ts';
import { serverUrlOf } from './server-url.ts';

/** The in-cluster configuration of a pod. */
export interface Pod {
  readonly environment: Environment;
  /** Of the files of its service account. */
  readonly directory: string;
}

const THIS_POD: Pod = { environment: process.env, directory: '/var/run/secrets/kubernetes.io/serviceaccount' };

/**
 * Reads `context` of the kubeconfig at `path`, '' for the current one; or where the path is '' the environment of a pod. Throws
 * KubeConfigError where it cannot be used at all; missing token or certificate files show up at the first `access`.
 */
export async function loadKubeConfig(
  path: string,
  pod: Pod = THIS_POD,
  context = '',
): Promise<Credentials & { readonly server: URL }> {
  const read = async () => (path === '' ? fromPod(pod) : readKubeConfigFile(path, context));
  return new KubeConfigCredentials(read, await read());
}

class KubeConfigCredentials implements Credentials {
  readonly server: URL;
  readonly #read: () => Promise<KubeConfigFile>;
  #file: KubeConfigFile;
  #plugin: Promise<KubeConfig> | undefined;
  #pending: Promise<Access> | undefined;

  constructor(read: () => Promise<KubeConfigFile>, file: KubeConfigFile) {
    this.#read = read;
    this.#file = file;
    this.server = file.server;
  }

  get proxy(): URL | undefined {
    return this.#file.proxy;
  }

  /** Several requests that start together share one reading, and so one run of an exec plugin. */
  access(): Promise<Access> {
    this.#pending ??= this.#access().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async reload(): Promise<void> {
    this.#file = await this.#read();
    this.#plugin = undefined;
  }

  async #access(): Promise<Access> {
    try {
      const { ca, servername, skipVerify, user } = this.#file;
      const [authorities, cert, key, token] = await Promise.all([
        content(ca, MAX_PEM_FILE_BYTES),
        content(user.cert, MAX_PEM_FILE_BYTES),
        content(user.key, MAX_PEM_FILE_BYTES),
        content(user.token, MAX_TOKEN_FILE_BYTES),
      ]);
      const plugin = user.plugin === undefined ? undefined : await this.#askPlugin(user.name, user.plugin);
      return {
        headers: { ...user.impersonation, ...authorization(user, token), ...plugin?.headers },
        tls: { ca: authorities, cert: plugin?.cert ?? cert, key: plugin?.key ?? key, servername, skipVerify },
      };
    } catch (thrown) {
      if (thrown instanceof KubeCredentialsError) throw thrown;
      const [reason = ''] = asError(thrown).message.split('\n');
      throw new KubeCredentialsError(`cannot read the Kubernetes credentials: ${reason.slice(0, 200)}`);
    }
  }

  async #askPlugin(name: string, plugin: Readonly<Record<string, unknown>>) {
    this.#plugin ??= loadPlugin(name, plugin);
    const options: RequestOptions = {};
    await (await this.#plugin).applyToHTTPSOptions(options);
    const headers: Record<string, string> = {};
    for (const [header, value] of Object.entries(options.headers ?? {})) headers[header.toLowerCase()] = String(value).trim();
    return { headers, cert: options.cert?.toString(), key: options.key?.toString() };
  }
}

/** The library takes a while to load, and most clusters do without it. */
async function loadPlugin(name: string, plugin: Readonly<Record<string, unknown>>): Promise<KubeConfig> {
  const { KubeConfig: Library } = await import('@kubernetes/client-node');
  const config = new Library();
  const content = {
    clusters: [{ name, cluster: { server: 'https://unused' } }],
    users: [{ name, user: plugin }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  config.loadFromString(JSON.stringify(content));
  return config;
}

/** Always with TLS, on any port: a service account token must not be sent in plain text. */
function fromPod({ environment, directory }: Pod): KubeConfigFile {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '' } = environment;
  const isKnown = host !== '' && port !== '';
  const server = isKnown ? serverUrlOf(`https://${host.includes(':') ? `[${host}]` : host}:${port}`) : undefined;
  if (server === undefined) {
    throw new KubeConfigError(
      'no Kubernetes API server is configured: outside of a pod, set --k8s-kubeconfig-path or --k8s-api-server-urls',
    );
  }
  return {
    server,
    proxy: undefined,
    ca: { file: join(directory, 'ca.crt') },
    servername: undefined,
    skipVerify: false,
    user: {
      name: 'service-account',
      cert: {},
      key: {},
      token: { file: join(directory, 'token') },
      basic: undefined,
      impersonation: {},
      plugin: undefined,
    },
  };
}

function authorization({ basic }: KubeConfigUser, token: string | undefined): Readonly<Record<string, string>> {
  if (token !== undefined) return { authorization: `Bearer ${token.trim()}` };
  if (basic === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString('base64')}` };
}

async function content({ data, file }: Material, maxBytes: number): Promise<string | undefined> {
  if (data !== undefined || file === undefined) return data;
  const text = (await readBoundedFile(file, maxBytes)).toString('utf8');
  if (text.trim() === '') throw new KubeCredentialsError(`cannot read the Kubernetes credentials: ${file} is empty`);
  return text;
}
