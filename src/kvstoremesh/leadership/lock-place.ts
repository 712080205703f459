/**
 * Which leases of the leader lock are of earlier processes of the same place, and the proof that these have ended.
 *
 * etcd lets a client choose the ID of a lease. The upper 43 bits of the IDs that are chosen here tell the place, the lower
 * 20 are random, and for as long as a process may hold a lease it listens on an abstract Unix socket named by the ID. The
 * kernel releases such a socket when the process ends, however that happens, and a suspended process keeps it. A successor
 * that finds the ID in the queue and is refused at the socket knows that its predecessor has ended. Keys and values in etcd
 * are those of the original.
 *
 * A refusal proves something only where both look at the same sockets: these are those of a network namespace, which the
 * containers of a Pod share and which survives the restart of a container. The place therefore tells the boot of the kernel,
 * the network namespace and the host name. A kernel gives the number of a namespace to another one only after the last
 * process in it has ended, so a lease of our place is of a process that shares our sockets, or of one that has ended.
 */
import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFile, readlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { hostname } from 'node:os';
import { asError } from '../../shared/errors.ts';
import type { LeaseId } from '../../shared/etcd/types.ts';
import { LOCK_PROBE_MS } from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';

const RANDOM_BITS = 20;
/** IDs of leases are positive and have 63 bits. */
const PLACE_BITS = 43;

/** A lease of this process, from before it is granted until it has been given up. */
export interface LeaseClaim {
  readonly id: LeaseId;
  /** Idempotent. */
  release(): void;
}

export interface LockPlace {
  /** An ID to have a lease granted with. Where etcd has one of this ID already another claim is needed. */
  claim(): Promise<LeaseClaim>;
  /**
   * Whether the lease is of a process of this place which has ended; false wherever there is no proof of it, as for those of
   * other places, of the original, and of this process. Takes 1 s at most, never rejects.
   */
  hasEnded(lease: LeaseId): Promise<boolean>;
}

/** Undefined where this system has no such sockets or does not tell the place; the log says so, and nothing else depends on it. */
export async function findLockPlace(
  log: Logger,
  describe: () => Promise<string> = describePlace,
): Promise<LockPlace | undefined> {
  try {
    const place = new SocketPlace(await describe());
    (await place.claim()).release();
    return place;
  } catch (thrown) {
    const { message } = asError(thrown);
    log.info(
      { reason: message },
      'a process cannot tell here that its predecessor has ended: after a crash it waits for the lock',
    );
    return undefined;
  }
}

class SocketPlace implements LockPlace {
  readonly #place: bigint;

  constructor(description: string) {
    const digest = createHash('sha256').update(description).digest();
    this.#place = BigInt.asUintN(PLACE_BITS, digest.readBigUInt64BE());
  }

  async claim(): Promise<LeaseClaim> {
    // Zero stands for no lease.
    const id = ((this.#place << BigInt(RANDOM_BITS)) | BigInt(randomInt(1, 2 ** RANDOM_BITS))) as LeaseId;
    const server = createServer((socket) => socket.destroy());
    server.listen(socketOf(id));
    await once(server, 'listening');
    // A connection that cannot be accepted changes nothing: what counts is that it is not refused.
    server.on('error', () => undefined);
    server.unref();
    return { id, release: () => void server.close() };
  }

  async hasEnded(lease: LeaseId): Promise<boolean> {
    return lease >> BigInt(RANDOM_BITS) === this.#place && isRefused(lease);
  }
}

/** Rejects where one of its parts cannot be read, as on a system that is not Linux. */
async function describePlace(): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  const network = await readlink('/proc/self/ns/net');
  return JSON.stringify([boot.trim(), network, hostname()]);
}

/** The leading zero makes a name abstract: it belongs to no file, and Linux alone has it. */
const socketOf = (lease: LeaseId) => `\0clustermesh-apiserver/kvstoremesh-lock/${lease.toString(16)}`;

function isRefused(lease: LeaseId): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketOf(lease));
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
