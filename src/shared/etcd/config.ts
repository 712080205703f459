/**
 * The etcd client file: YAML as etcd's own clients read it, plus `cilium-host-aliases`.
 *
 * Keys that are not named here are ignored, as etcd does. Users and passwords are among them: who asks
 * is told by the client certificate.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { asError } from '../errors.ts';
import { MAX_ETCD_CONFIG_BYTES, MAX_ETCD_ENDPOINTS } from '../limits.ts';
import { keyText, parseYaml, readTextFile, type YamlDocument, YamlFileError } from '../yaml-file.ts';
import { ENDPOINT_FORM, parseEndpoint } from './endpoint-address.ts';
import { EtcdConfigError } from './errors.ts';

export interface EtcdConfig {
  /** One at least, all with TLS or all without. */
  readonly endpoints: readonly string[];
  /** The authorities to trust; the system's own where absent. */
  readonly caFile?: string | undefined;
  /** Both or none. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Any server certificate will do. */
  readonly skipVerify?: boolean;
  /** Addresses of host names that are not asked of DNS; names in lower case. */
  readonly hostAliases?: ReadonlyMap<string, readonly string[]>;
}

const PATH = 'the path of a file';
const FLAG = 'true or false';
const ENDPOINTS = `a list of 1 to ${MAX_ETCD_ENDPOINTS} URLs such as https://cluster.example:2379`;
const ALIASES = 'a list of {hostname, ips}';
const ADDRESSES = 'a list of IP addresses, one at least';

const path = z.string(PATH).nullish();
const flag = z.boolean(FLAG).nullish();

/** The message of each check is what is allowed in that place. */
const FILE = z.object(
  {
    endpoints: z.array(z.string(ENDPOINT_FORM), ENDPOINTS).min(1, ENDPOINTS).max(MAX_ETCD_ENDPOINTS, ENDPOINTS),
    'trusted-ca-file': path,
    'ca-file': path,
    'cert-file': path,
    'key-file': path,
    'insecure-transport': flag,
    'insecure-skip-tls-verify': flag,
    'cilium-host-aliases': z
      .array(
        z.object(
          {
            hostname: z.string('a host name').min(1, 'a host name'),
            ips: z
              .array(
                z.string(ADDRESSES).refine((ip) => isIP(ip) !== 0, ADDRESSES),
                ADDRESSES,
              )
              .min(1, ADDRESSES),
          },
          ALIASES,
        ),
        ALIASES,
      )
      .nullish(),
  },
  'keys and values, `endpoints` among them',
);

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
  const { content, place } = yamlOf(text, file);
  const refuse = (keys: readonly PropertyKey[], problem: string) =>
    new EtcdConfigError(`etcd configuration ${place(keys)}: ${keyText(keys)}${problem}`);
  const parsed = FILE.safeParse(content);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw refuse(issue?.path ?? [], `allowed: ${issue?.message}`);
  }
  const given = parsed.data;
  const certFile = given['cert-file'] || undefined;
  const keyFile = given['key-file'] || undefined;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw refuse([certFile === undefined ? 'key-file' : 'cert-file'], 'allowed: cert-file and key-file both, or none of them');
  }
  return {
    endpoints: endpointsOf(given.endpoints, given['insecure-transport'] === true, refuse),
    caFile: given['trusted-ca-file'] || given['ca-file'] || undefined,
    certFile,
    keyFile,
    skipVerify: given['insecure-skip-tls-verify'] === true,
    hostAliases: aliasesOf(given['cilium-host-aliases'] ?? [], refuse),
  };
}

type Refuse = (keys: readonly PropertyKey[], problem: string) => EtcdConfigError;

function endpointsOf(given: readonly string[], isInsecure: boolean, refuse: Refuse): string[] {
  const addresses = given.map((text, index) => {
    try {
      return parseEndpoint(text, isInsecure);
    } catch (thrown) {
      throw refuse(['endpoints', index], asError(thrown).message);
    }
  });
  const other = addresses.findIndex((address) => address.secure !== addresses[0]?.secure);
  if (other !== -1) throw refuse(['endpoints', other], 'http and https are mixed; allowed: one of them for all endpoints');
  if (isInsecure && addresses[0]?.secure) {
    throw refuse(['insecure-transport'], 'true contradicts the https of the endpoints; allowed: false, or http endpoints');
  }
  return addresses.map((address) => address.url);
}

function aliasesOf(given: readonly { hostname: string; ips: string[] }[], refuse: Refuse): Map<string, readonly string[]> {
  const aliases = new Map<string, readonly string[]>();
  for (const [index, { hostname, ips }] of given.entries()) {
    const name = hostname.toLowerCase();
    if (aliases.has(name)) {
      throw refuse(['cilium-host-aliases', index, 'hostname'], `${JSON.stringify(hostname)} is named twice; allowed: each once`);
    }
    aliases.set(name, [...new Set(ips)]);
  }
  return aliases;
}

function yamlOf(text: string, file: string): YamlDocument {
  try {
    return parseYaml(text, file, MAX_ETCD_CONFIG_BYTES);
  } catch (thrown) {
    throw named(thrown);
  }
}

/** The error of whoever reads the file, by the name of what is read. */
function named(thrown: unknown): unknown {
  return thrown instanceof YamlFileError
    ? new EtcdConfigError(`etcd configuration ${thrown.message}`, { cause: thrown })
    : thrown;
}
