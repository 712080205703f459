/** The kubeconfig of a user: that of a flag, of `$KUBECONFIG`, or `~/.kube/config`. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { quoted } from '../shared/flags/kinds.ts';
import { readContexts } from '../shared/kubernetes/connection/kubeconfig-file.ts';
import { KubeConfigError } from '../shared/kubernetes/errors.ts';
import { printable } from '../shared/printable.ts';

/** Contexts that a message names. */
const MAX_LISTED_CONTEXTS = 20;
/** Characters shown of the names of all of them. */
const MAX_CONTEXTS_LENGTH = 1_000;

export interface KubeconfigPlace {
  readonly path: string;
  readonly context: string;
}

/**
 * The file that has `context`, and for '' the first one with a current context. `$KUBECONFIG` may list several files; context,
 * cluster and user must be in one of them. Throws KubeConfigError where no file has the context.
 */
export async function findContext(
  flag: string,
  context: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<KubeconfigPlace> {
  const paths = flag === '' ? standardPaths(environment) : [flag];
  const seen: string[] = [];
  for (const path of paths) {
    const { names, current } = await readContexts(path);
    const wanted = context === '' ? current : context;
    if (wanted !== '' && names.includes(wanted)) return { path, context: wanted };
    seen.push(...names);
  }
  if (paths.length === 0) throw new KubeConfigError('there is no kubeconfig; set --kubeconfig or $KUBECONFIG');
  const allowed = printable(seen.slice(0, MAX_LISTED_CONTEXTS).join(', '), MAX_CONTEXTS_LENGTH) || 'none';
  const problem = context === '' ? 'no current context is set' : `there is no context ${quoted(context)}`;
  throw new KubeConfigError(`kubeconfig ${paths.join(', ')}: ${problem}; contexts: ${allowed}`);
}

function standardPaths({ KUBECONFIG, HOME }: Readonly<Record<string, string | undefined>>): readonly string[] {
  const listed = (KUBECONFIG ?? '').split(delimiter).filter((path) => path !== '');
  const paths = listed.length > 0 ? listed : [join(HOME ?? homedir(), '.kube', 'config')];
  return paths.filter((path) => existsSync(path));
}
