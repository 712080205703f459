import type { BlockHandle, SlabStore } from '../../../src/shared/publisher/store/slab.ts';

/** A new block with `bytes`. */
export function put(slabs: SlabStore, bytes: Uint8Array): BlockHandle {
  const handle = slabs.allocate(bytes.length);
  slabs.write(handle, 0, bytes);
  return handle;
}
