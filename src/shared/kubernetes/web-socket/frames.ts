/** Frames of the WebSocket protocol (RFC 6455, section 5) as a client reads and writes them. */
import { randomBytes } from 'node:crypto';
import { KubeDecodeError } from '../errors.ts';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Payload of one message, of one frame or several. Servers of Kubernetes send 32 KiB at a time. */
export const MAX_MESSAGE_BYTES = 1024 * 1024;

const FIRST_CONTROL_OPCODE = 8;
/** RFC 6455, section 5.5. */
const MAX_CONTROL_BYTES = 125;

export interface Frame {
  readonly opcode: number;
  /** The last one of its message. */
  readonly isFinal: boolean;
  readonly payload: Buffer;
}

/** One frame with a whole message. A client masks each payload. */
export function encodeFrame(opcode: number, payload: Buffer): Buffer {
  const mask = randomBytes(4);
  const masked = Buffer.from(payload);
  for (let at = 0; at < masked.length; at += 1) masked[at] = (masked[at] ?? 0) ^ (mask[at % 4] ?? 0);
  return Buffer.concat([Buffer.of(0x80 | opcode), lengthBytes(payload.length), mask, masked]);
}

function lengthBytes(length: number): Buffer {
  if (length < 126) return Buffer.of(0x80 | length);
  const bytes = Buffer.alloc(length < 0x1_00_00 ? 3 : 9);
  bytes[0] = 0x80 | (bytes.length === 3 ? 126 : 127);
  if (bytes.length === 3) bytes.writeUInt16BE(length, 1);
  else bytes.writeBigUInt64BE(BigInt(length), 1);
  return bytes;
}

/** Frames from chunks of any size. Keeps at most one frame that is not complete. */
export class FrameReader {
  #pending: Buffer = Buffer.alloc(0);

  /** The frames that `chunk` completes. Throws KubeDecodeError for what a server must not send. */
  *push(chunk: Buffer): Generator<Frame, void, void> {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    for (;;) {
      const header = headerOf(this.#pending);
      if (header === undefined || this.#pending.length < header.sizeBytes + header.payloadBytes) return;
      const end = header.sizeBytes + header.payloadBytes;
      const payload = this.#pending.subarray(header.sizeBytes, end);
      this.#pending = this.#pending.subarray(end);
      yield { opcode: header.opcode, isFinal: header.isFinal, payload };
    }
  }
}

interface Header {
  readonly opcode: number;
  readonly isFinal: boolean;
  readonly sizeBytes: number;
  readonly payloadBytes: number;
}

/** Undefined where more bytes are needed. */
function headerOf(bytes: Buffer): Header | undefined {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return undefined;
  const [isFinal, opcode, length] = [(first & 0x80) !== 0, first & 0x0f, second & 0x7f];
  if ((first & 0x70) !== 0) throw new KubeDecodeError('WebSocket: a frame with bits of an extension');
  if ((second & 0x80) !== 0) throw new KubeDecodeError('WebSocket: a masked frame of a server');
  const sizeBytes = 2 + (length === 126 ? 2 : length === 127 ? 8 : 0);
  if (bytes.length < sizeBytes) return undefined;
  const payloadBytes = length === 126 ? bytes.readUInt16BE(2) : length === 127 ? Number(bytes.readBigUInt64BE(2)) : length;
  const limit = opcode >= FIRST_CONTROL_OPCODE ? MAX_CONTROL_BYTES : MAX_MESSAGE_BYTES;
  if (payloadBytes > limit) throw new KubeDecodeError(`WebSocket: a frame of ${payloadBytes} bytes; at most ${limit}`);
  if (opcode >= FIRST_CONTROL_OPCODE && !isFinal) throw new KubeDecodeError('WebSocket: a control frame in parts');
  return { opcode, isFinal, sizeBytes, payloadBytes };
}
