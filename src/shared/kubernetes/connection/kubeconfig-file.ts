/**
 * A kubeconfig as client-go reads it: the cluster and the user of one of its contexts.
 *
 * Embedded data takes precedence over file paths. Paths are relative to the kubeconfig.
 */
import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { goText } from '../../files/go-yaml.ts';
import { keyText, parseYaml, readTextFile, YamlFileError } from '../../files/yaml-file.ts';
import { KubeConfigError } from '../errors.ts';
import { MAX_KUBECONFIG_BYTES } from '../limits.ts';
import { proxyUrlOf } from './proxy.ts';
import { serverUrlOf } from './server-url.ts';

/** Embedded PEM, or the absolute path of a file that has it. */
export interface Material {
  readonly data?: string;
  readonly file?: string;
}

export interface KubeConfigFile {
  readonly server: URL;
  readonly proxy: URL | undefined;
  readonly ca: Material;
  readonly servername: string | undefined;
  readonly skipVerify: boolean;
  readonly user: KubeConfigUser;
}

export interface KubeConfigUser {
  readonly name: string;
  readonly cert: Material;
  readonly key: Material;
  /** Data is the token. */
  readonly token: Material;
  readonly basic: { readonly username: string; readonly password: string } | undefined;
  readonly impersonation: Readonly<Record<string, string | string[]>>;
  /** An `exec` or `auth-provider` section, for the library. */
  readonly plugin: Readonly<Record<string, unknown>> | undefined;
}

const text = z.preprocess((value) => goText(value) ?? value, z.string('a string')).nullish();
const flag = z.boolean('true or false').nullish();
const section = z.record(z.string(), z.unknown(), 'keys and values').nullish();

const CLUSTER = z.object(
  {
    server: text,
    'certificate-authority': text,
    'certificate-authority-data': text,
    'insecure-skip-tls-verify': flag,
    'tls-server-name': text,
    'proxy-url': text,
  },
  'keys and values',
);

const USER = z.object(
  {
    'client-certificate': text,
    'client-certificate-data': text,
    'client-key': text,
    'client-key-data': text,
    token: text,
    tokenFile: text,
    username: text,
    password: text,
    as: text,
    'as-uid': text,
    'as-groups': z.array(z.string('a string'), 'a list of strings').nullish(),
    exec: section,
    'auth-provider': section,
  },
  'keys and values',
);

const named = <K extends string, T extends z.ZodType>(key: K, entry: T) =>
  z
    .array(
      z.object({ name: text, [key]: entry.nullish() } as { name: typeof text } & Record<K, z.ZodOptional<z.ZodNullable<T>>>),
      'a list',
    )
    .nullish();

const FILE = z.object(
  {
    clusters: named('cluster', CLUSTER),
    users: named('user', USER),
    contexts: named('context', z.object({ cluster: text, user: text }, 'keys and values')),
    'current-context': text,
  },
  'keys and values',
);

type File = z.infer<typeof FILE>;

/** What a kubeconfig can be asked for. */
export interface KubeConfigContexts {
  readonly names: readonly string[];
  /** '' where none is set. */
  readonly current: string;
}

/** Throws KubeConfigError where the file cannot be read. */
export async function readContexts(path: string): Promise<KubeConfigContexts> {
  const { contexts, 'current-context': current } = await parsed(path);
  return { names: (contexts ?? []).flatMap(({ name }) => name ?? []), current: current ?? '' };
}

/**
 * Reads the context of this name, '' for the current one. Throws KubeConfigError where the file cannot be read, or the context
 * names no server. No message has a value of the file but names.
 */
export async function readKubeConfigFile(path: string, contextName = ''): Promise<KubeConfigFile> {
  const refuse = (problem: string) => new KubeConfigError(`kubeconfig ${path}: ${problem}`);
  const file = await parsed(path);
  const wanted = contextName === '' ? (file['current-context'] ?? '') : contextName;
  const which = contextName === '' ? 'its current context' : 'context';
  const context = file.contexts?.find(({ name }) => name === wanted)?.context;
  const cluster = file.clusters?.find(({ name }) => name === context?.cluster)?.cluster;
  if (!cluster) throw refuse(`${which} "${wanted.slice(0, 100)}" refers to no cluster`);
  const server = serverUrlOf(cluster.server ?? '');
  if (server === undefined) throw refuse('the server of its current context is not a URL; allowed: https://host:port');
  const proxy = cluster['proxy-url'] ? proxyUrlOf(cluster['proxy-url']) : undefined;
  if (cluster['proxy-url'] && proxy === undefined) throw refuse('proxy-url: allowed: a URL with http, https or socks5');
  const user = file.users?.find(({ name }) => name === context?.user)?.user ?? {};
  return {
    server,
    proxy,
    ca: material(path, cluster['certificate-authority'], cluster['certificate-authority-data']),
    servername: cluster['tls-server-name'] || undefined,
    skipVerify: cluster['insecure-skip-tls-verify'] === true,
    user: userOf(path, context?.user ?? '', user),
  };
}

async function parsed(path: string): Promise<File> {
  try {
    const { content, place } = parseYaml(await readTextFile(path, MAX_KUBECONFIG_BYTES), path, MAX_KUBECONFIG_BYTES, {
      isGoYaml: true,
    });
    const result = FILE.safeParse(content ?? {});
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    throw new KubeConfigError(`kubeconfig ${place(issue?.path ?? [])}: ${keyText(issue?.path ?? [])}allowed: ${issue?.message}`);
  } catch (thrown) {
    if (!(thrown instanceof YamlFileError)) throw thrown;
    // The parser's message may quote lines of the file.
    throw new KubeConfigError(`kubeconfig ${thrown.message.split('\n', 1)[0]}`);
  }
}

function userOf(path: string, name: string, user: z.infer<typeof USER>): KubeConfigUser {
  const { exec, username, password } = user;
  const provider = user['auth-provider'];
  return {
    name,
    cert: material(path, user['client-certificate'], user['client-certificate-data']),
    key: material(path, user['client-key'], user['client-key-data']),
    token: user.tokenFile ? { file: resolve(dirname(path), user.tokenFile) } : user.token ? { data: user.token } : {},
    basic: username ? { username, password: password ?? '' } : undefined,
    impersonation: {
      ...(user.as ? { 'impersonate-user': user.as } : {}),
      ...(user['as-uid'] ? { 'impersonate-uid': user['as-uid'] } : {}),
      ...(user['as-groups']?.length ? { 'impersonate-group': user['as-groups'] } : {}),
    },
    plugin: exec ? { exec } : provider ? { 'auth-provider': provider } : undefined,
  };
}

function material(path: string, file: string | null | undefined, data: string | null | undefined): Material {
  if (data) return { data: Buffer.from(data, 'base64').toString('utf8') };
  return file ? { file: resolve(dirname(path), file) } : {};
}
