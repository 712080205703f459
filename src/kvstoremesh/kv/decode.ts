/**
 * Values as JSON for people: what Cilium writes as text or as protobuf becomes objects. Values of other clusters are not trusted: texts
 * have no control characters, and their length is bounded.
 */
import { asError } from '../../shared/errors.ts';
import { printable } from '../../shared/printable.ts';
import { decodedEndpointSlice } from './endpoint-slice.ts';
import type { Kind } from './kinds.ts';

/** Of one text in a value: an annotation has 256 KiB at most. */
const MAX_TEXT_LENGTH = 256 * 1024;
const MAX_DEPTH = 32;
/** Bytes shown of a value that cannot be decoded. */
const MAX_RAW_BYTES = 96;

/** Never throws: of a value that cannot be decoded the cause, the size and the first bytes. */
export function decodedValue(kind: Kind, value: Uint8Array): unknown {
  try {
    return safe(contentOf(kind, Buffer.from(value.buffer, value.byteOffset, value.byteLength)), 0);
  } catch (thrown) {
    const bytes = Buffer.from(value.subarray(0, MAX_RAW_BYTES)).toString('base64');
    return { undecodable: printable(asError(thrown).message, 200), size: value.length, base64: bytes };
  }
}

function contentOf(kind: Kind, value: Buffer): unknown {
  if (kind === 'endpointslices') return decodedEndpointSlice(value);
  const text = new TextDecoder('utf-8', { fatal: true }).decode(value);
  if (kind === 'synced') return text;
  return kind === 'identities' ? { labels: labelsOf(text) } : JSON.parse(text);
}

/** `source:key=value;` for each label. A value may have anything but a semicolon. */
function labelsOf(text: string): readonly string[] {
  if (!text.endsWith(';') || !text.includes('=')) throw new Error('the value is no list of labels');
  return text.slice(0, -1).split(';');
}

function safe(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) return '…';
  if (typeof value === 'string') return printable(value, MAX_TEXT_LENGTH);
  if (Array.isArray(value)) return value.map((each) => safe(each, depth + 1));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [printable(name, MAX_TEXT_LENGTH), safe(member, depth + 1)]);
  return Object.fromEntries(members);
}
