/**
 * Compressed messages are refused before anything of them is inflated.
 *
 * A client that does not compress gets no compressed answer from an etcd. The library offers compression all the same and
 * has no setting against it: a message of 64 kB would become one of 64 MB, unseen by whoever counts what arrives. Its
 * filter sees each message first, with the flag that tells.
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
