/**
 * Finds lock leases of earlier processes of the same place, and proves that those processes have ended.
 *
 * etcd lets a client choose the ID of a lease. The upper 43 bits of the IDs chosen here identify the place, the lower 20 are
 * random. As long as a process may hold a lease it listens on an abstract Unix socket named by the ID. The kernel releases
 * the socket when the process ends, for whatever reason; a suspended process keeps it. A successor that finds the ID in the
 * queue and whose connection to the socket is refused knows that its predecessor has ended. Keys and values in etcd are
 * those of the original.
 *
 * A refusal is a proof only where both processes use the same sockets. Abstract sockets belong to a network namespace, which
 * the containers of a Pod share and which survives a restart of a container. The place is therefore the boot of the kernel,
 * the network namespace and the host name. A kernel reuses the number of a namespace only after the last process in it has
 * ended, so a lease of this place belongs to a process that shares its sockets, or to one that has ended.
 */
import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFile, readlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { hostname } from 'node:os';
import { asError } from '../errors.ts';
import { ROOT } from '../etcd/keyspace.ts';
import type { EtcdKey, LeaseId } from '../etcd/types.ts';
import { LOCK_PROBE_MS } from '../limits.ts';
import type { Logger } from '../process/log.ts';

const RANDOM_BITS = 20;
/** IDs of leases are positive and have 63 bits. */
const PLACE_BITS = 43;

/** The ID of a lease of this process, from before it is granted until it is revoked. */
export interface LeaseClaim {
  readonly id: LeaseId;
  /** Idempotent. */
  release(): void;
}

export interface LockPlace {
  /** An ID for a new lease. If etcd already has a lease with it, make another claim. */
  claim(): Promise<LeaseClaim>;
  /**
   * Whether the lease belongs to a process of this place that has ended. False without proof, as for leases of other places,
   * of the original and of this process. Takes 1 s at most, never rejects.
   */
  hasEnded(lease: LeaseId): Promise<boolean>;
}

/**
 * The place of this process for the lock whose keys are below `locks`. Undefined where the system has no such sockets or does not
 * reveal the place. That is logged and has no other effect.
 */
export async function findLockPlace(
  locks: EtcdKey,
  log: Logger,
  describe: () => Promise<string> = describePlace,
): Promise<LockPlace | undefined> {
  try {
    const place = new SocketPlace(locks, await describe());
    (await place.claim()).release();
    return place;
  } catch (thrown) {
    const { message } = asError(thrown);
    log.info(
      { reason: message },
      'cannot detect here that an earlier process has ended; after a crash the next one waits for the lock to expire',
    );
    return undefined;
  }
}

class SocketPlace implements LockPlace {
  readonly #locks: EtcdKey;
  readonly #place: bigint;

  constructor(locks: EtcdKey, description: string) {
    this.#locks = locks;
    const digest = createHash('sha256').update(description).digest();
    this.#place = BigInt.asUintN(PLACE_BITS, digest.readBigUInt64BE());
  }

  async claim(): Promise<LeaseClaim> {
    // Zero means no lease.
    const id = ((this.#place << BigInt(RANDOM_BITS)) | BigInt(randomInt(1, 2 ** RANDOM_BITS))) as LeaseId;
    const server = createServer((socket) => socket.destroy());
    server.listen(socketOf(this.#locks, id));
    await once(server, 'listening');
    // A connection that cannot be accepted is still not refused.
    server.on('error', () => undefined);
    server.unref();
    return { id, release: () => void server.close() };
  }

  async hasEnded(lease: LeaseId): Promise<boolean> {
    return lease >> BigInt(RANDOM_BITS) === this.#place && isRefused(socketOf(this.#locks, lease));
  }
}

/** Rejects where a part cannot be read, as on systems other than Linux. */
async function describePlace(): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  const network = await readlink('/proc/self/ns/net');
  return JSON.stringify([boot.trim(), network, hostname()]);
}

/**
 * A leading NUL makes the name abstract: there is no file. Linux only. Earlier releases use the same names, hence during an
 * update no running process is taken for one that has ended.
 */
function socketOf(locks: EtcdKey, lease: LeaseId): string {
  return `\0clustermesh-apiserver/${locks.slice(ROOT.length)}${lease.toString(16)}`;
}

function isRefused(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(name);
    const settle = (isRefused: boolean) => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(isRefused);
    };
    const deadline = setTimeout(() => settle(false), LOCK_PROBE_MS);
    socket.once('connect', () => settle(false));
    socket.on('error', (error) => settle('code' in error && error.code === 'ECONNREFUSED'));
  });
}
