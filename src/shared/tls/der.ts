/**
 * Just enough of DER (ITU-T X.690) to find fields of a certificate that Node does not expose.
 *
 * The bytes are untrusted: every length is checked, and nothing recurses.
 */
import { ProgramError } from '../errors.ts';
import { MAX_DER_ELEMENTS } from '../limits.ts';

/** Bytes that are not DER, or not where they should be. */
export class DerError extends ProgramError {
  readonly code = 'DER_MALFORMED';
  readonly retriable = false;
}

export interface DerElement {
  /** The whole identifier octet. */
  readonly tag: number;
  readonly content: Buffer;
}

export const INTEGER = 0x02;
export const OCTET_STRING = 0x04;
export const OBJECT_IDENTIFIER = 0x06;
export const SEQUENCE = 0x30;
export const SET = 0x31;

/** A constructed element of the context class. */
export function context(number: number): number {
  return 0xa0 | number;
}

/** The elements one after the other in `bytes`, to the end. Throws DerError. */
export function elementsOf(bytes: Buffer): readonly DerElement[] {
  const elements: DerElement[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (elements.length >= MAX_DER_ELEMENTS) throw new DerError(`more than ${MAX_DER_ELEMENTS} elements`);
    const { start, end } = extentAt(bytes, at);
    elements.push({ tag: bytes[at] ?? 0, content: bytes.subarray(start, end) });
    at = end;
  }
  return elements;
}

/** The elements inside of `element`, which must have the tag. */
export function inside(element: DerElement | undefined, tag: number): readonly DerElement[] {
  return elementsOf(contentOf(element, tag));
}

/** The content of `element`, which must have the tag. */
export function contentOf(element: DerElement | undefined, tag: number): Buffer {
  if (element?.tag !== tag)
    throw new DerError(`expected an element ${hex(tag)}, found ${element === undefined ? 'none' : hex(element.tag)}`);
  return element.content;
}

/** `2.5.29.14`. Throws DerError. */
export function objectIdentifier(content: Buffer): string {
  const arcs: bigint[] = [];
  let arc = 0n;
  let isOpen = false;
  if (content.length === 0 || content.length > 64) throw new DerError('an object identifier of an impossible length');
  for (const octet of content) {
    arc = (arc << 7n) | BigInt(octet & 0x7f);
    isOpen = (octet & 0x80) !== 0;
    if (isOpen) continue;
    arcs.push(arc);
    arc = 0n;
  }
  if (isOpen) throw new DerError('an object identifier that does not end');
  const [first = 0n, ...others] = arcs;
  const root = first < 80n ? first / 40n : 2n;
  return [root, first - root * 40n, ...others].join('.');
}

function extentAt(bytes: Buffer, at: number): { readonly start: number; readonly end: number } {
  const [tag = 0, length] = bytes.subarray(at, at + 2);
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag of several octets');
  if (length === undefined) throw new DerError('an element without a length');
  const octets = length < 0x80 ? 0 : length & 0x7f;
  // No certificate has lengths of more than four octets; zero octets are a form that DER does not allow.
  if (length === 0x80 || octets > 4 || at + 2 + octets > bytes.length) throw new DerError('an impossible length');
  const start = at + 2 + octets;
  const end = start + (octets === 0 ? length : bytes.readUIntBE(at + 2, octets));
  if (end > bytes.length) throw new DerError('an element that ends behind its container');
  return { start, end };
}

function hex(tag: number): string {
  return `0x${tag.toString(16).padStart(2, '0')}`;
}
