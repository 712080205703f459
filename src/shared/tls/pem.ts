/**
 * Certificates of a PEM file, whatever stands before, between and after them: texts, keys, carriage returns, a mark of bytes.
 */

/** Linear: between the marks there is no hyphen. */
const BLOCK = /-----BEGIN (TRUSTED CERTIFICATE|X509 CERTIFICATE|CERTIFICATE)-----[A-Za-z0-9+/=\s]+-----END \1-----/g;

/** The blocks of `text` that hold certificates, in their order, each once. Blocks with header lines are none, as for Go. */
export function certificateBlocks(text: string): readonly string[] {
  return [...new Set(Array.from(text.matchAll(BLOCK), ([block]) => block))];
}
