/**
 * The built-in users of every etcd of a mesh: those for programs of the local cluster, and one
 * for all other clusters. The common name of a client certificate selects the user.
 */
export interface BuiltinUser {
  readonly name: string;
  readonly role: 'root' | 'local' | 'remote';
}

/** The users of the etcd of `cluster`; an empty name means a cluster without one. */
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
