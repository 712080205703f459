/**
 * The etcd client file: YAML as etcd's own clients read it (sigs.k8s.io/yaml and clientv3/yaml), plus `cilium-host-aliases`.
 *
 * What etcd's clients pass over in silence, such as a misspelt key or a certificate without its key, is passed over here with a warning.
 */
import { isIP } from 'node:net';
import * as z from 'zod';
import { asError } from '../errors.ts';
import { goText } from '../files/go-yaml.ts';
import { keyText, parseYaml, readTextFile, type YamlDocument, YamlFileError } from '../files/yaml-file.ts';
import { MAX_ETCD_CONFIG_BYTES, MAX_ETCD_CONFIG_WARNINGS, MAX_ETCD_ENDPOINTS } from '../limits.ts';
import { isLoopback } from '../tls/address.ts';
import { foldKeys, idleKeyProblems } from './config-keys.ts';
import { ENDPOINT_FORM, type EndpointAddress, hostKey, parseEndpoint } from './endpoint-address.ts';
import { EtcdConfigError } from './errors.ts';

export interface EtcdConfig {
  /** One at least, each once, all with TLS or all without. */
  readonly endpoints: readonly string[];
  /** The authorities to trust; the system's own where absent. */
  readonly caFile?: string | undefined;
  /** Both or none. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Any server certificate will do. */
  readonly skipVerify?: boolean;
  /** Addresses of host names that are used instead of DNS, by `hostKey`. */
  readonly hostAliases?: ReadonlyMap<string, readonly string[]>;
  /** Secret: never log or show it. */
  readonly login?: EtcdLogin | undefined;
  /** What has no effect, or not the one that was probably meant: messages with file, line and key. */
  readonly warnings?: readonly string[];
}

/** Credentials of a client whose certificate does not identify it. */
export type EtcdLogin =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string };

const TEXT = 'a string';
const PATH = 'a file path';
const FLAG = 'true or false';
const ENDPOINTS = `a list of 1 to ${MAX_ETCD_ENDPOINTS} URLs such as https://cluster.example:2379`;
const ALIASES = 'a list of {hostname, ips}';
const ADDRESSES = 'a list of IP addresses, one at least';
const HOST = 'a host name';

/** A number or a word such as `yes` is accepted as a string. */
const textOf = (allowed: string) => z.preprocess((value) => goText(value) ?? value, z.string(allowed));
const path = textOf(PATH).nullish();
const secret = textOf(TEXT).nullish();
const flag = z.boolean(FLAG).nullish();

const ALIAS_KEYS = ['hostname', 'ips'];

/** The message of each check is what is allowed in that place. */
const FIELDS = {
  endpoints: z.array(textOf(ENDPOINT_FORM), ENDPOINTS).min(1, ENDPOINTS).max(MAX_ETCD_ENDPOINTS, ENDPOINTS),
  'trusted-ca-file': path,
  'ca-file': path,
  'cert-file': path,
  'key-file': path,
  username: secret,
  password: secret,
  token: secret,
  'insecure-transport': flag,
  'insecure-skip-tls-verify': flag,
  'cilium-host-aliases': z
    .array(
      z.preprocess(
        (entry) => (isRecord(entry) ? foldKeys(entry, ALIAS_KEYS).values : entry),
        z.object(
          {
            hostname: z.preprocess((value) => goText(value) ?? value, z.string(HOST).min(1, HOST)),
            ips: z
              .array(
                z.string(ADDRESSES).refine((ip) => isIP(ip) !== 0, ADDRESSES),
                ADDRESSES,
              )
              .min(1, ADDRESSES),
          },
          ALIASES,
        ),
      ),
      ALIASES,
    )
    .nullish(),
};
const KEYS = Object.keys(FIELDS);
const FILE = z.object(FIELDS, 'keys and values, `endpoints` among them');

type Given = z.infer<typeof FILE>;

/** Reads `file`; throws EtcdConfigError where it cannot be read or used. */
export async function readEtcdConfig(file: string): Promise<EtcdConfig> {
  try {
    return parseEtcdConfig(await readTextFile(file, MAX_ETCD_CONFIG_BYTES), file);
  } catch (thrown) {
    throw named(thrown);
  }
}

/** `text` is the content of `file`, whose name is for the messages of EtcdConfigError alone. */
export function parseEtcdConfig(text: string, file: string): EtcdConfig {
  return new Reading(text, file).config();
}

/** One file that is being read, and its warnings. */
class Reading {
  readonly #document: YamlDocument;
  readonly #warnings: string[] = [];
  #spelling: (key: string) => string = (key) => key;

  constructor(text: string, file: string) {
    this.#document = yamlOf(text, file);
  }

  config(): EtcdConfig {
    const given = this.#given();
    const hostAliases = this.#aliases(given['cilium-host-aliases'] ?? []);
    const isInsecure = given['insecure-transport'] === true;
    const endpoints = this.#endpoints(given.endpoints, isInsecure);
    const login = this.#login(given);
    const plain = login === undefined || isInsecure ? undefined : endpoints.find((each) => isOnWire(each, hostAliases));
    if (plain !== undefined) {
      throw this.#refusal(
        [login?.kind === 'token' ? 'token' : 'password'],
        `it would be sent to ${plain.url} in plain text; use https, or set insecure-transport: true on a trusted network`,
      );
    }
    return {
      endpoints: endpoints.map(({ url }) => url),
      caFile: given['trusted-ca-file'] || given['ca-file'] || undefined,
      ...this.#certificate(given),
      // etcd's library ignores the flag then, and TLS may still be used.
      skipVerify: given['insecure-skip-tls-verify'] === true && !isInsecure,
      hostAliases,
      login,
      warnings: this.#warnings,
    };
  }

  #given(): Given {
    const { content, repeated } = this.#document;
    if (!isRecord(content)) throw this.#refusal([], `allowed: ${FILE.safeParse(content).error?.issues[0]?.message}`);
    const { values, spelling, ambiguous } = foldKeys(content, KEYS);
    this.#spelling = spelling;
    const idle = idleKeyProblems(content, KEYS);
    const parsed = FILE.safeParse(values);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const slip = !('endpoints' in values) ? idle.map(({ key, problem }) => `; ${key.slice(0, 64)}: ${problem}`)[0] : '';
      throw this.#refusal(issue?.path ?? [], `allowed: ${issue?.message}${slip ?? ''}`);
    }
    for (const message of repeated) this.#warn(`${message}; the last one is used`);
    for (const key of ambiguous) this.#warnAbout([key], 'duplicate key in another spelling; write it once');
    for (const { key, problem } of idle) this.#warnAbout([key], problem);
    return parsed.data;
  }

  /** As in etcd's client the first endpoint decides for all whether TLS is used. */
  #endpoints(given: readonly string[], isInsecure: boolean): readonly EndpointAddress[] {
    const addresses = given.map((text, index) => {
      try {
        return parseEndpoint(text, isInsecure);
      } catch (thrown) {
        throw this.#refusal(['endpoints', index], asError(thrown).message);
      }
    });
    const secure = addresses[0]?.secure === true;
    const other = addresses.findIndex((address) => address.secure !== secure);
    if (other !== -1) {
      const used = secure ? 'TLS is used for all endpoints' : 'no endpoint is used with TLS';
      this.#warnAbout(['endpoints', other], `http and https are mixed; ${used}, as for the first endpoint`);
    }
    if (isInsecure && secure) this.#warnAbout(['insecure-transport'], 'the first endpoint is https, so TLS is used');
    const scheme = secure ? 'https' : 'http';
    const urls = new Map(addresses.map((address) => [address.url.replace(/^https?/, scheme), address]));
    return [...urls].map(([url, address]) => ({ ...address, url, secure }));
  }

  #certificate(given: Given): Pick<EtcdConfig, 'certFile' | 'keyFile'> {
    const certFile = given['cert-file'] || undefined;
    const keyFile = given['key-file'] || undefined;
    if ((certFile === undefined) === (keyFile === undefined)) return { certFile, keyFile };
    const [there, missing] = keyFile === undefined ? ['cert-file', 'key-file'] : ['key-file', 'cert-file'];
    this.#warnAbout([there], `it has no effect without ${missing}; no client certificate is used`);
    return { certFile: undefined, keyFile: undefined };
  }

  #login({ username, password, token }: Given): EtcdLogin | undefined {
    if (username && password) return { kind: 'password', username, password };
    if (username || password) {
      const [there, missing] = username ? ['username', 'password'] : ['password', 'username'];
      this.#warnAbout([there], `it has no effect without ${missing}`);
    }
    return token ? { kind: 'token', token } : undefined;
  }

  #aliases(given: readonly { hostname: string; ips: string[] }[]): ReadonlyMap<string, readonly string[]> {
    const aliases = new Map<string, readonly string[]>();
    for (const [index, { hostname, ips }] of given.entries()) {
      const name = hostKey(hostname);
      if (aliases.has(name)) {
        throw this.#refusal(
          ['cilium-host-aliases', index, 'hostname'],
          `${JSON.stringify(hostname)} is duplicated; allowed: each once`,
        );
      }
      aliases.set(name, [...new Set(ips)]);
    }
    return aliases;
  }

  #refusal(keys: readonly PropertyKey[], problem: string): EtcdConfigError {
    return new EtcdConfigError(`etcd configuration ${this.#document.place(this.#asSpelt(keys))}: ${keyText(keys)}${problem}`);
  }

  #warnAbout(keys: readonly PropertyKey[], problem: string): void {
    this.#warn(`${this.#document.place(this.#asSpelt(keys))}: ${keyText(keys).slice(0, 100)}${problem}`);
  }

  #warn(message: string): void {
    if (this.#warnings.length < MAX_ETCD_CONFIG_WARNINGS) this.#warnings.push(message);
  }

  #asSpelt(keys: readonly PropertyKey[]): readonly PropertyKey[] {
    const [first, ...rest] = keys;
    return typeof first === 'string' ? [this.#spelling(first), ...rest] : keys;
  }
}

/** Whether what is sent to the endpoint can be read by others. */
function isOnWire({ secure, host }: EndpointAddress, aliases: ReadonlyMap<string, readonly string[]>): boolean {
  if (secure) return false;
  const addresses = aliases.get(hostKey(host)) ?? [hostKey(host)];
  return !addresses.every(isLoopback);
}

function isRecord(content: unknown): content is Readonly<Record<string, unknown>> {
  return typeof content === 'object' && content !== null && !Array.isArray(content);
}

function yamlOf(text: string, file: string): YamlDocument {
  try {
    return parseYaml(text, file, MAX_ETCD_CONFIG_BYTES, { isGoYaml: true });
  } catch (thrown) {
    throw named(thrown);
  }
}

/** The error of the reader, by the name of what is read. */
function named(thrown: unknown): unknown {
  return thrown instanceof YamlFileError
    ? new EtcdConfigError(`etcd configuration ${thrown.message}`, { cause: thrown })
    : thrown;
}
