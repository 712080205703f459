/**
 * Users and roles of an etcd. The roles of a user define its permissions; the common name of the client
 * certificate selects the user, so users have no passwords.
 *
 * Calls are tried once and reject with a typed error (errors.ts). With authentication enabled they require the
 * role `root`.
 */

import type { Transport } from '../connection/transport.ts';
import {
  AuthNotEnabledError,
  AuthNotFoundError,
  PermissionDeniedError,
  UnauthenticatedError,
  UnknownCallError,
} from '../errors.ts';
import type { CallOptions, EtcdKey } from '../types.ts';
import { decodeHeader } from '../wire/codec.ts';
import {
  type Access,
  decodeAuthStatus,
  decodeNames,
  decodePermissions,
  EMPTY_MESSAGE,
  encodeGrantPermission,
  encodeRevokePermission,
  encodeTexts,
  encodeUserAdd,
  type PermissionMessage,
} from '../wire/messages.ts';
import { method } from '../wire/methods.ts';

/** The role that may do everything. It cannot be added; users are granted it all the same. */
export const ROOT_ROLE = 'root';

/** Keys of a role: `key` alone, or everything from `key` to before `end`. */
export interface KeyRange {
  readonly key: EtcdKey;
  readonly end?: EtcdKey;
}

export interface Permission extends KeyRange {
  readonly access: Access;
}

/** Users, roles and permissions, over the connection of a client. */
export class EtcdAuth {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Whether authentication is enabled. Allowed without permissions. */
  async isEnabled(options: CallOptions): Promise<boolean> {
    try {
      return decodeAuthStatus(await this.#askAsUser('AuthStatus', EMPTY_MESSAGE, options));
    } catch (thrown) {
      if (isRefusal(thrown)) return true;
      if (thrown instanceof UnknownCallError) return this.#isPasswordChecked(options);
      throw thrown;
    }
  }

  /** etcd 3.4 has no call for it, but checks a password only if authentication is enabled. No user has an empty name. */
  async #isPasswordChecked(options: CallOptions): Promise<boolean> {
    try {
      await this.#ask('Authenticate', EMPTY_MESSAGE, options);
    } catch (thrown) {
      if (thrown instanceof AuthNotEnabledError) return false;
      if (isRefusal(thrown)) return true;
      throw thrown;
    }
    return true;
  }

  /** From now on rights are checked. AuthRefusedError where there is no user `root` with the role `root`. */
  async enable(options: CallOptions): Promise<void> {
    await this.#ask('AuthEnable', EMPTY_MESSAGE, options);
  }

  async disable(options: CallOptions): Promise<void> {
    await this.#ask('AuthDisable', EMPTY_MESSAGE, options);
  }

  /** The names of all users, in etcd's order. */
  async users(options: CallOptions): Promise<readonly string[]> {
    return decodeNames(await this.#askAsUser('UserList', EMPTY_MESSAGE, options));
  }

  /** The roles of `user`; undefined where there is no such user. */
  async rolesOf(user: string, options: CallOptions): Promise<readonly string[] | undefined> {
    const answer = await this.#find('UserGet', encodeTexts({ 1: user }), options);
    return answer === undefined ? undefined : decodeNames(answer);
  }

  /** AuthExistsError if the user exists. */
  async addUser(user: string, options: CallOptions): Promise<void> {
    await this.#ask('UserAdd', encodeUserAdd(user), options);
  }

  /** AuthNotFoundError where there is no such user. */
  async deleteUser(user: string, options: CallOptions): Promise<void> {
    await this.#ask('UserDelete', encodeTexts({ 1: user }), options);
  }

  /** Idempotent. AuthNotFoundError where there is no such user or role. */
  async grantRole(user: string, role: string, options: CallOptions): Promise<void> {
    await this.#ask('UserGrantRole', encodeTexts({ 1: user, 2: role }), options);
  }

  /** AuthNotFoundError where the user does not have the role. */
  async revokeRole(user: string, role: string, options: CallOptions): Promise<void> {
    await this.#ask('UserRevokeRole', encodeTexts({ 1: user, 2: role }), options);
  }

  /** The names of all roles but `root`, in etcd's order. */
  async roles(options: CallOptions): Promise<readonly string[]> {
    return decodeNames(await this.#askAsUser('RoleList', EMPTY_MESSAGE, options));
  }

  /** What `role` allows; undefined where there is no such role. */
  async permissionsOf(role: string, options: CallOptions): Promise<readonly Permission[] | undefined> {
    const answer = await this.#find('RoleGet', encodeTexts({ 1: role }), options);
    return answer === undefined ? undefined : decodePermissions(answer).map(permissionOf);
  }

  /** AuthExistsError if the role exists. */
  async addRole(role: string, options: CallOptions): Promise<void> {
    await this.#ask('RoleAdd', encodeTexts({ 1: role }), options);
  }

  /** AuthNotFoundError where there is no such role. Users lose it. */
  async deleteRole(role: string, options: CallOptions): Promise<void> {
    await this.#ask('RoleDelete', encodeTexts({ 1: role }), options);
  }

  /** Idempotent; replaces the access of the same range. */
  async grantPermission(role: string, permission: Permission, options: CallOptions): Promise<void> {
    await this.#ask('RoleGrantPermission', encodeGrantPermission(role, { end: '', ...permission }), options);
  }

  /** AuthNotFoundError where the role does not have exactly this range. */
  async revokePermission(role: string, range: KeyRange, options: CallOptions): Promise<void> {
    await this.#ask('RoleRevokePermission', encodeRevokePermission(role, { end: '', ...range }), options);
  }

  /** Undefined if the user or role does not exist. */
  async #find(name: string, request: Buffer, options: CallOptions): Promise<Buffer | undefined> {
    try {
      return await this.#ask(name, request, options);
    } catch (thrown) {
      if (thrown instanceof AuthNotFoundError) return undefined;
      throw thrown;
    }
  }

  /** A call without a user or role name: a user that is not found is the caller. */
  async #askAsUser(name: string, request: Buffer, options: CallOptions): Promise<Buffer> {
    try {
      return await this.#ask(name, request, options);
    } catch (thrown) {
      if (thrown instanceof AuthNotFoundError) throw new UnauthenticatedError('it has no user of this name');
      throw thrown;
    }
  }

  async #ask(name: string, request: Buffer, options: CallOptions): Promise<Buffer> {
    const { answer } = await this.#transport.call({
      method: method('Auth', name),
      request,
      decode: (bytes) => ({ header: decodeHeader(bytes), answer: bytes }),
      subject: { action: name, kind: /List|Get|Status/.test(name) ? 'read' : 'set', key: undefined },
      ...options,
    });
    return answer;
  }
}

/** The error for a caller without permissions, which no caller lacks while authentication is disabled. */
function isRefusal(thrown: unknown): boolean {
  return thrown instanceof PermissionDeniedError || thrown instanceof UnauthenticatedError;
}

function permissionOf({ end, ...permission }: PermissionMessage): Permission {
  return end === '' ? permission : { ...permission, end };
}
