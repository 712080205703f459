/** Builds long responses in slices, so that leases are kept alive and probes answered in between. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { HTTP_SLICE_MS } from '../limits.ts';

/** Called between pieces of work: yields to the event loop if the last turn was some milliseconds ago. */
export function sliced(): () => Promise<void> | undefined {
  let startedMs = performance.now();
  return () => {
    if (performance.now() - startedMs < HTTP_SLICE_MS) return undefined;
    return nextTurn().then(() => {
      startedMs = performance.now();
    });
  };
}

/** Characters that are encoded in one go. */
const CHARACTERS_PER_CHUNK = 64 * 1024;

/** `pieces` as one text in UTF-8; each piece is computed when it is needed. */
export async function joinInSlices(pieces: Iterable<string>): Promise<Buffer> {
  const turn = sliced();
  const chunks: Buffer[] = [];
  let text = '';
  for (const piece of pieces) {
    text += piece;
    if (text.length >= CHARACTERS_PER_CHUNK) {
      chunks.push(Buffer.from(text));
      text = '';
    }
    const pause = turn();
    if (pause !== undefined) await pause;
  }
  return Buffer.concat([...chunks, Buffer.from(text)]);
}

/** Levels of arrays and objects that are written piece by piece; what is deeper is one piece. */
const DEPTH = 4;

/**
 * What `JSON.stringify` makes of `value`, in pieces. An iterable that is no array is written as one, and read as it is written.
 */
export function* jsonPieces(value: unknown, depth = DEPTH): Generator<string, void, void> {
  if (depth > 0 && isIterable(value)) yield* arrayPieces(value, depth - 1);
  else if (depth > 0 && isPlainObject(value)) yield* objectPieces(value, depth - 1);
  else yield JSON.stringify(value) ?? 'null';
}

function* arrayPieces(items: Iterable<unknown>, depth: number): Generator<string, void, void> {
  let before = '[';
  for (const item of items) {
    yield before;
    yield* jsonPieces(item, depth);
    before = ',';
  }
  yield before === '[' ? '[]' : ']';
}

function* objectPieces(object: object, depth: number): Generator<string, void, void> {
  let before = '{';
  for (const [key, value] of Object.entries(object) as [string, unknown][]) {
    if (value === undefined || typeof value === 'function' || typeof value === 'symbol') continue;
    yield `${before}${JSON.stringify(key)}:`;
    yield* jsonPieces(value, depth);
    before = ',';
  }
  yield before === '{' ? '{}' : '}';
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
