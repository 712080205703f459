/** URLs of API servers, as files and flags give them. */

/**
 * The URL of an API server; undefined where `text` is none. Without a scheme it is https: where client-go takes http for a server without any TLS
 * material, a token would go over the wire in the clear.
 */
export function serverUrlOf(text: string): URL | undefined {
  const trimmed = text.trim();
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`);
  return url !== null && ['http:', 'https:'].includes(url.protocol) && url.hostname !== '' ? url : undefined;
}

/** A name, or an address without brackets. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}
