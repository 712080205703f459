/**
 * Synchronizes the users of etcd with the users file.
 *
 * A user in the file gets exactly the role in the file. Users that are not in the file stay, unless they
 * were created in this run: they may have another owner. The users that `etcdinit` created are reserved for
 * programs of this cluster, and the file cannot change them.
 */
import { builtinUsers } from '../../shared/builtin-users.ts';
import { AuthExistsError, AuthNotFoundError, AuthRefusedError } from '../../shared/etcd/errors.ts';
import { type EtcdAuth, ROOT_ROLE } from '../../shared/etcd/operations/auth.ts';
import type { CallOptions } from '../../shared/etcd/types.ts';
import type { FileUser, UsersFile } from './users-file.ts';

export type UserProblemReason = 'builtin' | 'unknown_role' | 'refused';

/** An entry of the file that etcd is not as; all others are. */
export interface UserProblem {
  readonly user: string;
  readonly reason: UserProblemReason;
  readonly text: string;
}

export interface Reconciled {
  /** What was done, for the log. */
  readonly configured: readonly FileUser[];
  readonly removed: readonly string[];
  readonly problems: readonly UserProblem[];
  /** Users of etcd that neither the file names nor etcd was initialized with. */
  readonly unnamed: readonly string[];
}

export class Reconciliation {
  readonly #auth: EtcdAuth;
  /** The role that each user has from the beginning. */
  readonly #builtin: ReadonlyMap<string, string>;
  /** Set up in this run. */
  readonly #owned = new Set<string>();

  constructor(auth: EtcdAuth, cluster: string) {
    this.#auth = auth;
    this.#builtin = new Map(builtinUsers(cluster).map(({ name, role }) => [name, role]));
  }

  /** Users that were set up in this run and not removed since. */
  get ownedCount(): number {
    return this.#owned.size;
  }

  /**
   * One pass, in the order of the file, removals last. Idempotent, and can be restarted after
   * an interruption. Rejects with an EtcdError if etcd is unavailable.
   *
   * The user of an invalid entry is not changed. If the user of such an entry is unknown, no user is removed: it may
   * be any user that is not in the file.
   */
  async reconcile({ users: wanted, problems: leftOut }: UsersFile, options: CallOptions): Promise<Reconciled> {
    const existing = new Set(await this.#auth.users(options));
    const roles = new Set([ROOT_ROLE, ...(await this.#auth.roles(options))]);
    const configured: FileUser[] = [];
    const problems: UserProblem[] = [];
    for (const user of wanted) {
      const problem = this.#problemOf(user, roles);
      if (problem !== undefined) problems.push(problem);
      if (problem !== undefined || this.#builtin.has(user.name)) continue;
      try {
        if (await this.#enforce(user, existing.has(user.name), options)) configured.push(user);
      } catch (thrown) {
        if (!isAboutUser(thrown)) throw thrown;
        problems.push({ user: user.name, reason: 'refused', text: thrown.message });
      }
    }
    const named = new Set([...wanted.map(({ name }) => name), ...leftOut.flatMap(({ user }) => user ?? [])]);
    const areAllNamed = leftOut.every(({ user }) => user !== undefined);
    const removed = areAllNamed ? await this.#remove(named, options) : [];
    const unnamed = [...existing].filter((user) => !named.has(user) && !this.#builtin.has(user) && !removed.includes(user));
    return { configured, removed, problems, unnamed };
  }

  #problemOf({ name, role }: FileUser, roles: ReadonlySet<string>): UserProblem | undefined {
    const builtinRole = this.#builtin.get(name);
    if (builtinRole !== undefined) {
      if (builtinRole === role) return undefined;
      const text = `this user is built in and keeps the role ${builtinRole}; remove the entry from the file`;
      return { user: name, reason: 'builtin', text };
    }
    if (roles.has(role)) return undefined;
    const known = [...roles].sort().join(', ');
    const text = `etcd has no role ${JSON.stringify(role)}; allowed: ${known}. The user is unchanged`;
    return { user: name, reason: 'unknown_role', text };
  }

  /** True where something had to be done. The new role comes before the old ones go: a user is never without rights between. */
  async #enforce({ name, role }: FileUser, exists: boolean, options: CallOptions): Promise<boolean> {
    const before = exists ? await this.#auth.rolesOf(name, options) : undefined;
    if (before === undefined) await this.#add(name, options);
    if (!before?.includes(role)) await this.#auth.grantRole(name, role, options);
    const others = (before ?? []).filter((other) => other !== role);
    for (const other of others) await this.#auth.revokeRole(name, other, options);
    this.#owned.add(name);
    return !before?.includes(role) || others.length > 0;
  }

  async #add(name: string, options: CallOptions): Promise<void> {
    try {
      await this.#auth.addUser(name, options);
      this.#owned.add(name);
    } catch (thrown) {
      if (!(thrown instanceof AuthExistsError)) throw thrown;
    }
  }

  async #remove(named: ReadonlySet<string>, options: CallOptions): Promise<readonly string[]> {
    const removed: string[] = [];
    for (const name of [...this.#owned].filter((user) => !named.has(user))) {
      try {
        await this.#auth.deleteUser(name, options);
      } catch (thrown) {
        if (!(thrown instanceof AuthNotFoundError)) throw thrown;
      }
      this.#owned.delete(name);
      removed.push(name);
    }
    return removed;
  }
}

/** A user or role was removed concurrently, or etcd rejects it: other users are not affected. */
function isAboutUser(thrown: unknown): thrown is Error {
  return thrown instanceof AuthNotFoundError || thrown instanceof AuthRefusedError;
}
