/**
 * Takes pages out of the middle of a linked program that are never read: the segment that has them becomes two, with nothing
 * mapped in between. Every address stays what it was.
 *
 * For 64-bit little-endian ELF of fixed addresses, as Node is. Section headers are dropped: only tools for debugging read
 * them.
 */

interface Segment {
  type: number;
  flags: number;
  offset: number;
  address: number;
  fileSize: number;
  memorySize: number;
  alignment: number;
}

const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const TYPE_LOAD = 1;
const TYPE_NOTE = 4;
/** The largest page of both architectures. */
const PAGE_BYTES = 0x1_0000;

/** `program` without the whole pages between the offsets `from` and `to` in the file. Throws where it is none of that kind. */
export function withoutPages(program: Buffer, from: number, to: number): Buffer {
  const isExpected =
    program.readUInt32BE(0) === 0x7f45_4c46 && program[4] === 2 && program[5] === 1 && program.readUInt16LE(54) === SEGMENT_BYTES;
  if (!isExpected || program.readUInt16LE(16) !== 2) throw new TypeError('not a 64-bit ELF program with fixed addresses');
  const tableOffset = Number(program.readBigUInt64LE(32));
  const segments = Array.from({ length: program.readUInt16LE(56) }, (_, index) =>
    readSegment(program, tableOffset + index * SEGMENT_BYTES),
  );
  const first = segments.find(({ type, offset, fileSize }) => type === TYPE_LOAD && offset <= from && to <= offset + fileSize);
  if (first === undefined) throw new TypeError('the pages are not in one segment');
  const start = pageAfter(from, first);
  const length = Math.floor((to - start) / PAGE_BYTES) * PAGE_BYTES;
  const end = start + length;
  if (length <= 0) return program;

  const skipped = end - first.offset;
  const second = {
    ...first,
    offset: end,
    address: first.address + skipped,
    fileSize: first.fileSize - skipped,
    memorySize: first.memorySize - skipped,
  };
  first.fileSize = start - first.offset;
  first.memorySize = first.fileSize;
  // A slot for the second half: of the notes nothing at run time reads the build ID.
  const note = segments.findIndex(({ type }) => type === TYPE_NOTE);
  if (note === -1) throw new TypeError('there is no segment to spare');
  segments.splice(note, 1);
  segments.splice(segments.indexOf(first) + 1, 0, second);
  for (const segment of segments) if (segment.offset >= end) segment.offset -= length;

  const fileEnd = Math.max(...segments.filter(({ type }) => type === TYPE_LOAD).map(({ offset, fileSize }) => offset + fileSize));
  const cut = Buffer.concat([program.subarray(0, start), program.subarray(end)]).subarray(0, fileEnd);
  if (tableOffset !== HEADER_BYTES) throw new TypeError('the table of segments is not behind the header');
  segments.forEach((segment, index) => {
    writeSegment(cut, tableOffset + index * SEGMENT_BYTES, segment);
  });
  cut.writeBigUInt64LE(0n, 40);
  cut.writeUInt16LE(0, 60);
  cut.writeUInt16LE(0, 62);
  return cut;
}

/** The offset of the first whole page from `offset` on, by addresses. */
function pageAfter(offset: number, segment: Segment): number {
  const address = segment.address + offset - segment.offset;
  return offset + (Math.ceil(address / PAGE_BYTES) * PAGE_BYTES - address);
}

function readSegment(program: Buffer, at: number): Segment {
  const word = (offset: number) => Number(program.readBigUInt64LE(at + offset));
  return {
    type: program.readUInt32LE(at),
    flags: program.readUInt32LE(at + 4),
    offset: word(8),
    address: word(16),
    fileSize: word(32),
    memorySize: word(40),
    alignment: word(48),
  };
}

function writeSegment(program: Buffer, at: number, segment: Segment): void {
  program.writeUInt32LE(segment.type, at);
  program.writeUInt32LE(segment.flags, at + 4);
  const { offset, address, fileSize, memorySize, alignment } = segment;
  [offset, address, address, fileSize, memorySize, alignment].forEach((value, index) => {
    program.writeBigUInt64LE(BigInt(value), at + 8 + 8 * index);
  });
}
