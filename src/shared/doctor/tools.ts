/** What the doctor's checks take from the rest of the program. */
import type { EtcdAdminClient } from '../etcd/client.ts';
import type { Permission } from '../etcd/operations/auth.ts';
import type { EtcdCheckTools } from '../troubleshoot/etcd-check.ts';
import type { CheckedConfig } from '../troubleshoot/findings.ts';

/** Users and roles that an etcd of the mesh must have. */
export interface ExpectedUsers {
  readonly users: readonly { readonly name: string; readonly role: string }[];
  readonly roles: readonly { readonly name: string; readonly permissions: readonly Permission[] }[];
}

export interface DoctorTools extends EtcdCheckTools {
  /** A client that only reads. */
  readonly connect: (config: CheckedConfig, name: string) => EtcdAdminClient;
  /** One that may list users and roles. */
  readonly connectLocal: (config: CheckedConfig) => EtcdAdminClient;
  /** Those of the etcd of the local cluster `name`. */
  readonly expectedUsers: (name: string) => ExpectedUsers;
}
