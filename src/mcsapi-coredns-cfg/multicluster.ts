/**
 * The change of a Corefile that makes CoreDNS answer for the services of all clusters.
 *
 * In each server with the plugin `kubernetes` for the cluster's domain, the clusterset's domain joins it: as a zone of
 * the server where that names its zones, of `kubernetes` and its `fallthrough`, and of `cache` and its `disable`; and
 * `kubernetes` is given the option `multicluster`. An ordinary Corefile becomes, byte for byte, what the original makes
 * of it. Unlike the original's replacement of text, comments, longer names (`my-cluster.local`), arguments of other
 * plugins and servers of other domains stay as they are.
 */
import { type Directive, parseCorefile, type Word } from './corefile.ts';
import { ClusterDomainError } from './errors.ts';

export interface Domains {
  readonly cluster: string;
  readonly clusterset: string;
}

interface Insertion {
  readonly place: number;
  readonly text: string;
}

/**
 * The new Corefile; undefined if the old one already contains the clusterset domain or `multicluster`, which
 * counts as configured. Throws CorefileError or ClusterDomainError.
 */
export function withMulticluster(corefile: string, domains: Domains): string | undefined {
  const servers = parseCorefile(corefile);
  if (servers.some((server) => isConfigured(server, domains.clusterset))) return undefined;
  const concerned = servers.filter((server) => kubernetesOf(server).some((plugin) => serves(plugin, domains.cluster)));
  if (concerned.length === 0) throw new ClusterDomainError(domains.cluster, kubernetesZones(servers));
  const insertions = concerned.flatMap((server) => insertionsOf(server, domains));
  const lineBreak = corefile.includes('\r\n') ? '\r\n' : '\n';
  // From the end, so that positions stay valid; of two at the same position (a word at the end of its line) the zone comes first.
  return insertions
    .map(({ place, text }, order) => ({ place, text: text.replaceAll('\n', lineBreak), order }))
    .sort((a, b) => b.place - a.place || b.order - a.order)
    .reduce((text, { place, text: added }) => text.slice(0, place) + added + text.slice(place), corefile);
}

function isConfigured({ words, block = [] }: Directive, clusterset: string): boolean {
  const isSign = ({ text }: Word) => text === 'multicluster' || text.toLowerCase().includes(clusterset);
  return words.some(isSign) || block.some((directive) => isConfigured(directive, clusterset));
}

function kubernetesOf({ block = [] }: Directive): Directive[] {
  return block.filter(({ words }) => words[0]?.text === 'kubernetes');
}

function serves({ words }: Directive, domain: string): boolean {
  return words.slice(1).some(({ text }) => zoneOf(text) === domain);
}

function kubernetesZones(servers: readonly Directive[]): string[] {
  const plugins = servers.flatMap(kubernetesOf);
  return [...new Set(plugins.flatMap(({ words }) => words.slice(1).map(({ text }) => zoneOf(text))))];
}

function insertionsOf(server: Directive, domains: Domains): Insertion[] {
  const { block = [] } = server;
  const joined = [...joinedZones(server.words, domains)];
  for (const plugin of block) {
    const [name] = plugin.words;
    if (name?.text === 'kubernetes' && serves(plugin, domains.cluster)) {
      joined.push(...joinedZones(plugin.words, domains), ...optionZones(plugin, 'fallthrough', domains), option(plugin, domains));
    } else if (name?.text === 'cache') {
      joined.push(...joinedZones(plugin.words, domains), ...optionZones(plugin, 'disable', domains));
    }
  }
  return joined;
}

function optionZones({ block = [] }: Directive, name: string, domains: Domains): Insertion[] {
  return block.filter(({ words }) => words[0]?.text === name).flatMap(({ words }) => joinedZones(words, domains));
}

/** After each zone that equals the cluster domain, the clusterset domain: with the same scheme and port, if present. */
function joinedZones(words: readonly Word[], { cluster, clusterset }: Domains): Insertion[] {
  return words.flatMap(({ text, end }) => {
    if (zoneOf(text) !== cluster) return [];
    const [, scheme = '', port = '', comma = ''] = /^(\w+:\/\/)?[^:,]*(:\d+)?(,)?$/.exec(text) ?? [];
    return [{ place: end - comma.length, text: ` ${scheme}${clusterset}${port}` }];
  });
}

/** `multicluster clusterset.local`, as the first line of the block, which is created if absent. */
function option({ indent, lineEnd, block, words }: Directive, { clusterset }: Domains): Insertion {
  const line = `${indent}   multicluster ${clusterset}`;
  if (block !== undefined) return { place: lineEnd, text: `\n${line}` };
  return { place: words.at(-1)?.end ?? lineEnd, text: ` {\n${line}\n${indent}}` };
}

/** `dns://cluster.local.:53,` is of the zone `cluster.local`. */
function zoneOf(text: string): string {
  return text
    .replace(/^\w+:\/\//, '')
    .replace(/,$/, '')
    .replace(/:\d+$/, '')
    .replace(/(?<=.)\.$/, '')
    .toLowerCase();
}
