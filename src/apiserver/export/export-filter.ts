/**
 * The `--export-…` flags: an operator excludes objects from the mesh, independent of the annotations of namespaces and services.
 *
 * They only restrict. An excluded namespace is treated as one that is not global: none of its services,
 * slices, service exports, identities and addresses is exported. A service that does not match is not requested:
 * the API server applies the selector, so that such a service does not exist for this daemon, and no key of any kind is
 * derived from it. Pods are selected by the labels of their endpoints (`selection/`); a service keeps the backends that
 * are not.
 */
import { listKind } from '../../shared/flags/collections.ts';
import { FlagError } from '../../shared/flags/error.ts';
import { type Kind, quoted } from '../../shared/flags/kinds.ts';
import type { Flag } from '../../shared/flags/table.ts';
import type { Logger } from '../../shared/process/log.ts';
import { whenAllListed } from '../informers/listing.ts';
import { type LabelSelector, parseLabelSelector } from './label-selector.ts';
import type { NamespaceFilter, Namespaces } from './namespaces.ts';

/** RFC 1123, as Kubernetes names namespaces. */
const NAMESPACE_NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

const namespacesKind: Kind<readonly string[]> = {
  ...listKind,
  parse(text, source) {
    const names = listKind.parse(text, source);
    const wrong = names.find((name) => !NAMESPACE_NAME.test(name));
    if (wrong === undefined) return names;
    throw new FlagError(
      `${quoted(wrong)} is not a namespace name; allowed: a comma-separated list, each at most 63 of a-z, 0-9 and "-"`,
    );
  },
};

const selectorKind: Kind<LabelSelector> = { name: 'selector', parse: parseLabelSelector, format: ({ text }) => text };

function selector(usage: string): Flag<LabelSelector> {
  return { kind: selectorKind, default: parseLabelSelector(''), usage, suffix: '' };
}

/** For `--export-endpoint-selector` and what is compared with it. */
export function endpointSelectorFlag(usage: string): Flag<LabelSelector> {
  return selector(usage);
}

const namespaces: Flag<readonly string[]> = {
  kind: namespacesKind,
  default: [],
  usage: 'Comma-separated namespaces to export; empty for all',
  suffix: '',
};

export const exportFilterFlags = {
  'export-namespaces': namespaces,
  'export-namespace-selector': selector('Label selector of the namespaces to export; empty for all'),
  'export-endpoint-selector': endpointSelectorFlag(
    'Label selector of the Pods whose addresses and identities to export; empty for all',
  ),
  'export-selector': selector('Label selector of the services to export; empty for all'),
};

/** Takes the namespaces that are among `names`, where there are any, and that `selector` selects. */
export function namespaceFilter(names: readonly string[], selector: LabelSelector): NamespaceFilter {
  const taken = new Set(names);
  return ({ metadata }) => (taken.size === 0 || taken.has(metadata.name)) && selector.matches(metadata.labels);
}

/** An unknown namespace may be a typo: logged once, when the namespaces are listed. */
export function tellUnknownNames(names: readonly string[], known: Namespaces, log: Logger): void {
  whenAllListed([known.listing], () => {
    const unknown = names.filter((name) => known.isExported(name) === undefined);
    if (unknown.length > 0) log.warn({ namespaces: unknown }, 'namespaces in --export-namespaces do not exist');
  });
}
