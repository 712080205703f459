/**
 * The state of the member that a client uses.
 *
 * Calls are tried once and reject with a typed error (errors.ts), with NoLeaderError where the member has no leader. A learner
 * answers too.
 */
import type { Transport } from '../connection/transport.ts';
import { UnknownCallError } from '../errors.ts';
import type { CallOptions } from '../types.ts';
import { decodeHeader } from '../wire/codec.ts';
import { type Alarm, decodeAlarms, decodeStatus, type MemberStatus } from '../wire/maintenance-messages.ts';
import { EMPTY_MESSAGE } from '../wire/messages.ts';
import { type Method, method } from '../wire/methods.ts';

export interface EtcdMaintenance {
  status(options: CallOptions): Promise<MemberStatus>;
  /** Of all members. Answers of etcd 3.4 do not name their cluster: it must be known from an earlier call. */
  alarms(options: CallOptions): Promise<readonly Alarm[]>;
  /**
   * Resolves when a request of `bytes` and an answer of the same size have passed. No rights are needed and nothing is read: the
   * name of the call is as long as that, etcd has no such call, and repeats the name in its answer.
   */
  exchangePadded(bytes: number, options: CallOptions): Promise<void>;
}

/** The calls over the connection of a client. */
export function maintenanceOver(transport: Transport): EtcdMaintenance {
  const ask = async (called: Method, options: CallOptions, readHeader = decodeHeader): Promise<Buffer> => {
    const { answer } = await transport.call({
      method: called,
      request: EMPTY_MESSAGE,
      decode: (bytes) => ({ header: readHeader(bytes), answer: bytes }),
      subject: { action: called.name, kind: 'read', key: undefined },
      ...options,
    });
    return answer;
  };
  return {
    status: async (options) => decodeStatus(await ask(method('Maintenance', 'Status'), options)),
    alarms: async (options) => {
      const readHeader = (bytes: Buffer) => {
        const header = decodeHeader(bytes);
        return header.clusterId === 0n ? { ...header, clusterId: transport.pin.id ?? 0n } : header;
      };
      return decodeAlarms(await ask(method('Maintenance', 'Alarm'), options, readHeader));
    },
    exchangePadded: async (bytes, options) => {
      const padded = { ...method('KV', 'Padded'), path: `/etcdserverpb.KV/${'x'.repeat(bytes)}` };
      try {
        await ask(padded, options);
      } catch (thrown) {
        if (!(thrown instanceof UnknownCallError)) throw thrown;
      }
    },
  };
}
