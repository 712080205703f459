/**
 * Rejects compressed messages before they are inflated.
 *
 * An etcd does not compress responses to a client that does not compress. The library offers compression anyway and
 * has no setting against it: a message of 64 kB could inflate to 64 MB, unnoticed by the receive budget. Its
 * filter sees each message first, with the compression flag.
 */
import { status } from '@grpc/grpc-js';
// The version of the library is pinned, and a test holds that this is the place.
import { CompressionFilter } from '@grpc/grpc-js/build/src/compression-filter.js';

/** Bytes before the content of a message: the flag, and the length. */
const FRAME_BYTES = 5;

/** From now on, for all clients of the process. */
export function refuseCompression(): void {
  CompressionFilter.prototype.receiveMessage = async (message: Promise<Buffer>) => {
    const framed = await message;
    if (framed[0] === 0) return framed.subarray(FRAME_BYTES);
    throw { code: status.UNIMPLEMENTED, details: 'a compressed message, which was not requested' };
  };
}
