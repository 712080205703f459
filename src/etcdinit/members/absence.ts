/** Whether the Pod of a member exists, by its host name. */
import { isIP } from 'node:net';
import { asError } from '../../shared/errors.ts';

/** The addresses of a host; rejects with the code ENOTFOUND where the name does not exist. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/**
 * True where `host` does not exist, false where it does. Rejects with the resolver's error where that is unknown.
 *
 * Where `ownHost` exists as an absolute name, `host` is one too, and is looked up as such: for a name that does not exist the
 * resolver asks for it in all search domains as well, and in a cluster without Internet the DNS of some does not answer.
 */
export async function isAbsent(host: string, ownHost: string, resolve: Resolve): Promise<boolean> {
  const isAbsolute = isIP(host) === 0 && (await exists(`${ownHost}.`, resolve));
  try {
    await resolve(isAbsolute ? `${host}.` : host);
    return false;
  } catch (thrown) {
    if ((asError(thrown) as NodeJS.ErrnoException).code === 'ENOTFOUND') return true;
    throw thrown;
  }
}

/** True where `host` exists; false where it does not, or where that is unknown. */
export async function exists(host: string, resolve: Resolve): Promise<boolean> {
  return (await resolve(host).catch(() => [])).length > 0;
}
