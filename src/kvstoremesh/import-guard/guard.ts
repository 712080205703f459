/**
 * Finds identities, names and addresses that remotes claim although they belong to another cluster.
 *
 * By default findings are reported and everything is mirrored. One guard serves all remotes of a term, since it compares
 * their addresses and pod CIDRs with each other.
 */
import type { ClusterInfo } from '../../shared/cluster-info.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { MappingName } from '../mappings.ts';
import { addressText } from './addresses.ts';
import { DuplicateIps } from './duplicate-ips.ts';
import { IdentityRange } from './identity-range.ts';
import { PodCidrs } from './pod-cidrs.ts';
import { type GuardedMesh, type ImportGuardMode, RemoteGuard } from './remote-guard.ts';

export class ImportGuard implements GuardedMesh {
  readonly mode: ImportGuardMode;
  readonly own: ClusterInfo;
  readonly identities: IdentityRange;
  readonly duplicateIps: DuplicateIps;
  readonly podCidrs: PodCidrs;
  /** The index is the owner number of the claims. */
  readonly #remotes: (RemoteGuard | undefined)[] = [];

  constructor(mode: ImportGuardMode, own: ClusterInfo) {
    this.mode = mode;
    this.own = own;
    this.identities = new IdentityRange(own.maxConnectedClusters);
    this.duplicateIps = new DuplicateIps((address, owners, left) => {
      const text = addressText(address);
      const tell = (owner: number, other: number | undefined) => this.#tell(owner, 'endpoints', text, other);
      if (left !== undefined) tell(left, undefined);
      for (const owner of owners) tell(owner, owners.length > 1 ? owners.find((other) => other !== owner) : undefined);
    });
    this.podCidrs = new PodCidrs((owner, key, other) => {
      const remote = this.#remotes[owner];
      if (other === undefined) remote?.findings.clear('pod-cidr-overlap', key);
      else remote?.findings.add('pod-cidr-overlap', key, this.#remotes[other]?.cluster);
    });
  }

  /** The guard of one remote, until it is forgotten; undefined with mode `off`. */
  remote(cluster: string, log: Logger): RemoteGuard | undefined {
    if (this.mode === 'off') return undefined;
    const free = this.#remotes.indexOf(undefined);
    const owner = free < 0 ? this.#remotes.length : free;
    const remote = new RemoteGuard({ guard: this, owner, cluster, log, onForgotten: () => this.#forget(owner) });
    this.#remotes[owner] = remote;
    return remote;
  }

  nameOf(id: number): string | undefined {
    if (id === this.own.id) return this.own.name;
    return this.#remotes.find((remote) => remote?.clusterId === id)?.cluster;
  }

  known(name: string): string | undefined {
    return name === this.own.name || this.#remotes.some((remote) => remote?.cluster === name) ? name : undefined;
  }

  #tell(owner: number, kind: MappingName, own: string, other: number | undefined): void {
    const remote = this.#remotes[owner];
    const key = remote?.keyOf(kind, own);
    if (remote === undefined || key === undefined) return;
    if (other === undefined) remote.findings.clear('duplicate-ip', key);
    else remote.findings.add('duplicate-ip', key, this.#remotes[other]?.cluster);
  }

  #forget(owner: number): void {
    this.duplicateIps.forget(owner);
    this.podCidrs.forget(owner);
    this.#remotes[owner] = undefined;
  }
}
