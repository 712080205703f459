/**
 * Bytes as recordings have them: text where they are text.
 */
export interface Binary {
  readonly base64: string;
}

/** Text where the bytes are UTF-8. */
export function textOrBinary(bytes: Buffer): string | Binary {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : binary(bytes);
}

export function binary(bytes: Buffer): Binary {
  return { base64: bytes.toString('base64') };
}
