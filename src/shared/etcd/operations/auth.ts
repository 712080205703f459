/**
 * Users and roles of an etcd. What a user may do is what its roles allow; who a client is says the common
 * name of its certificate, so no user has a password.
 *
 * Calls are tried once and reject with a typed error (errors.ts). With authentication on they are allowed to users
 * with the role `root` only.
 */

import type { Transport } from '../connection/transport.ts';
import {
  AuthNotEnabledError,
  AuthNotFoundError,
  MalformedResponseError,
  PermissionDeniedError,
  UnauthenticatedError,
  UnknownCallError,
} from '../errors.ts';
import { type CallOptions, type EtcdKey, keyBytes } from '../types.ts';
import { decodeHeader } from '../wire/codec.ts';
import { encoded, method } from '../wire/methods.ts';
import { Permission_Type, type Permission as PermissionMessage } from '../wire/proto/auth.ts';
import {
  AuthDisableRequest,
  AuthEnableRequest,
  AuthenticateRequest,
  AuthRoleAddRequest,
  AuthRoleDeleteRequest,
  AuthRoleGetRequest,
  AuthRoleGetResponse,
  AuthRoleGrantPermissionRequest,
  AuthRoleListRequest,
  AuthRoleListResponse,
  AuthRoleRevokePermissionRequest,
  AuthStatusRequest,
  AuthStatusResponse,
  AuthUserAddRequest,
  AuthUserDeleteRequest,
  AuthUserGetRequest,
  AuthUserGetResponse,
  AuthUserGrantRoleRequest,
  AuthUserListRequest,
  AuthUserListResponse,
  AuthUserRevokeRoleRequest,
} from '../wire/proto/auth_rpc.ts';

/** The role that may do everything. It cannot be added; users are granted it all the same. */
export const ROOT_ROLE = 'root';

/** Keys of a role: `key` alone, or everything from `key` to before `end`. */
export interface KeyRange {
  readonly key: EtcdKey;
  readonly end?: EtcdKey;
}

export interface Permission extends KeyRange {
  readonly access: 'read' | 'write' | 'readwrite';
}

export interface EtcdAuth {
  /** Whether rights are checked at all. Answered to everybody, whoever asks. */
  isEnabled(options: CallOptions): Promise<boolean>;
  /** From now on rights are checked. AuthRefusedError where there is no user `root` with the role `root`. */
  enable(options: CallOptions): Promise<void>;
  disable(options: CallOptions): Promise<void>;

  /** The names of all users, in etcd's order. */
  users(options: CallOptions): Promise<readonly string[]>;
  /** The roles of `user`; undefined where there is no such user. */
  rolesOf(user: string, options: CallOptions): Promise<readonly string[] | undefined>;
  /** AuthExistsError where the user is there already. */
  addUser(user: string, options: CallOptions): Promise<void>;
  /** AuthNotFoundError where there is no such user. */
  deleteUser(user: string, options: CallOptions): Promise<void>;
  /** Idempotent. AuthNotFoundError where there is no such user or role. */
  grantRole(user: string, role: string, options: CallOptions): Promise<void>;
  /** AuthNotFoundError where the user does not have the role. */
  revokeRole(user: string, role: string, options: CallOptions): Promise<void>;

  /** The names of all roles but `root`, in etcd's order. */
  roles(options: CallOptions): Promise<readonly string[]>;
  /** What `role` allows; undefined where there is no such role. */
  permissionsOf(role: string, options: CallOptions): Promise<readonly Permission[] | undefined>;
  /** AuthExistsError where the role is there already. */
  addRole(role: string, options: CallOptions): Promise<void>;
  /** AuthNotFoundError where there is no such role. Users lose it. */
  deleteRole(role: string, options: CallOptions): Promise<void>;
  /** Idempotent; replaces the access of the same range. */
  grantPermission(role: string, permission: Permission, options: CallOptions): Promise<void>;
  /** AuthNotFoundError where the role does not have exactly this range. */
  revokePermission(role: string, range: KeyRange, options: CallOptions): Promise<void>;
}

/** The calls over the connection of a client. */
export function authOver(transport: Transport): EtcdAuth {
  return new Auth(transport);
}

class Auth implements EtcdAuth {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async isEnabled(options: CallOptions): Promise<boolean> {
    try {
      return AuthStatusResponse.decode(await this.#askAsUser('AuthStatus', AuthStatusRequest.encode({}), options)).enabled;
    } catch (thrown) {
      if (isRefusal(thrown)) return true;
      if (thrown instanceof UnknownCallError) return this.#isPasswordChecked(options);
      throw thrown;
    }
  }

  /** etcd 3.4 has no call for it, but looks at a password only where authentication is on. No user has an empty name. */
  async #isPasswordChecked(options: CallOptions): Promise<boolean> {
    try {
      await this.#ask('Authenticate', AuthenticateRequest.encode({ name: '', password: '' }), options);
    } catch (thrown) {
      if (thrown instanceof AuthNotEnabledError) return false;
      if (isRefusal(thrown)) return true;
      throw thrown;
    }
    return true;
  }

  async enable(options: CallOptions): Promise<void> {
    await this.#ask('AuthEnable', AuthEnableRequest.encode({}), options);
  }

  async disable(options: CallOptions): Promise<void> {
    await this.#ask('AuthDisable', AuthDisableRequest.encode({}), options);
  }

  async users(options: CallOptions): Promise<readonly string[]> {
    return AuthUserListResponse.decode(await this.#askAsUser('UserList', AuthUserListRequest.encode({}), options)).users;
  }

  async rolesOf(user: string, options: CallOptions): Promise<readonly string[] | undefined> {
    const answer = await this.#find('UserGet', AuthUserGetRequest.encode({ name: user }), options);
    return answer === undefined ? undefined : AuthUserGetResponse.decode(answer).roles;
  }

  async addUser(user: string, options: CallOptions): Promise<void> {
    await this.#ask('UserAdd', AuthUserAddRequest.encode({ name: user, options: { noPassword: true } }), options);
  }

  async deleteUser(user: string, options: CallOptions): Promise<void> {
    await this.#ask('UserDelete', AuthUserDeleteRequest.encode({ name: user }), options);
  }

  async grantRole(user: string, role: string, options: CallOptions): Promise<void> {
    await this.#ask('UserGrantRole', AuthUserGrantRoleRequest.encode({ user, role }), options);
  }

  async revokeRole(user: string, role: string, options: CallOptions): Promise<void> {
    await this.#ask('UserRevokeRole', AuthUserRevokeRoleRequest.encode({ name: user, role }), options);
  }

  async roles(options: CallOptions): Promise<readonly string[]> {
    return AuthRoleListResponse.decode(await this.#askAsUser('RoleList', AuthRoleListRequest.encode({}), options)).roles;
  }

  async permissionsOf(role: string, options: CallOptions): Promise<readonly Permission[] | undefined> {
    const answer = await this.#find('RoleGet', AuthRoleGetRequest.encode({ role }), options);
    return answer === undefined ? undefined : AuthRoleGetResponse.decode(answer).perm.map(permissionOf);
  }

  async addRole(role: string, options: CallOptions): Promise<void> {
    await this.#ask('RoleAdd', AuthRoleAddRequest.encode({ name: role }), options);
  }

  async deleteRole(role: string, options: CallOptions): Promise<void> {
    await this.#ask('RoleDelete', AuthRoleDeleteRequest.encode({ role }), options);
  }

  async grantPermission(role: string, { access, ...range }: Permission, options: CallOptions): Promise<void> {
    const perm = { permType: TYPES[access], ...rangeBytes(range) };
    await this.#ask('RoleGrantPermission', AuthRoleGrantPermissionRequest.encode({ name: role, perm }), options);
  }

  async revokePermission(role: string, range: KeyRange, options: CallOptions): Promise<void> {
    const request = AuthRoleRevokePermissionRequest.encode({ role, ...rangeBytes(range) });
    await this.#ask('RoleRevokePermission', request, options);
  }

  /** Undefined where that which is asked for does not exist. */
  async #find(name: string, request: Encoding, options: CallOptions): Promise<Buffer | undefined> {
    try {
      return await this.#ask(name, request, options);
    } catch (thrown) {
      if (thrown instanceof AuthNotFoundError) return undefined;
      throw thrown;
    }
  }

  /** A call that is about nobody: the user who is not found there is the one who asks. */
  async #askAsUser(name: string, request: Encoding, options: CallOptions): Promise<Buffer> {
    try {
      return await this.#ask(name, request, options);
    } catch (thrown) {
      if (thrown instanceof AuthNotFoundError) throw new UnauthenticatedError('it has no user of this name');
      throw thrown;
    }
  }

  async #ask(name: string, request: Encoding, options: CallOptions): Promise<Buffer> {
    const { answer } = await this.#transport.call({
      method: method('Auth', name),
      request: encoded(request),
      decode: (bytes) => ({ header: decodeHeader(bytes), answer: bytes }),
      subject: { action: name, kind: /List|Get|Status/.test(name) ? 'read' : 'set', key: undefined },
      ...options,
    });
    return answer;
  }
}

type Encoding = Parameters<typeof encoded>[0];

/** Said to somebody without rights, which nobody lacks while authentication is off. */
function isRefusal(thrown: unknown): boolean {
  return thrown instanceof PermissionDeniedError || thrown instanceof UnauthenticatedError;
}

const TYPES = {
  read: Permission_Type.READ,
  write: Permission_Type.WRITE,
  readwrite: Permission_Type.READWRITE,
} as const;

const ACCESSES: readonly Permission['access'][] = ['read', 'write', 'readwrite'];

function permissionOf({ permType, key, rangeEnd }: PermissionMessage): Permission {
  const access = ACCESSES[permType];
  if (access === undefined) throw new MalformedResponseError(`a permission of kind ${permType}`);
  const range = { key: keyOfBytes(key) };
  return rangeEnd.length === 0 ? { access, ...range } : { access, ...range, end: keyOfBytes(rangeEnd) };
}

function rangeBytes({ key, end }: KeyRange): { readonly key: Buffer; readonly rangeEnd: Buffer } {
  return { key: keyBytes(key), rangeEnd: end === undefined ? Buffer.alloc(0) : keyBytes(end) };
}

function keyOfBytes(bytes: Buffer): EtcdKey {
  return bytes.toString('latin1') as EtcdKey;
}
