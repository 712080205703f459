/**
 * Certificates of a PEM file with any other content: texts, keys, carriage returns, a byte order mark.
 */

/** Linear: between the marks there is no hyphen. */
const BLOCK = /-----BEGIN (TRUSTED CERTIFICATE|X509 CERTIFICATE|CERTIFICATE)-----[A-Za-z0-9+/=\s]+-----END \1-----/g;

/** The blocks of `text` with certificates, in order, each once. Blocks with header lines are skipped, as in Go. */
export function certificateBlocks(text: string): readonly string[] {
  return [...new Set(Array.from(text.matchAll(BLOCK), ([block]) => block))];
}
