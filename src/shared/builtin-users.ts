/**
 * The users that every etcd of a mesh has from its beginning: those of this cluster's own programs, and one
 * for all other clusters. A user is whoever shows a client certificate with the name.
 */
export interface BuiltinUser {
  readonly name: string;
  readonly role: 'root' | 'local' | 'remote';
}

/** The users of the etcd of `cluster`; an empty name stands for a cluster without one. */
export function builtinUsers(cluster: string): readonly BuiltinUser[] {
  const suffix = cluster === '' ? '' : `-${cluster}`;
  return [
    // etcd enables authentication only where there is a user of this name.
    { name: 'root', role: 'root' },
    { name: `admin${suffix}`, role: 'root' },
    { name: `local${suffix}`, role: 'local' },
    { name: 'remote', role: 'remote' },
  ];
}
