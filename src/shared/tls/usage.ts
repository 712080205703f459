/** What a certificate may be used for in TLS (RFC 5280, sections 4.2.1.3 and 4.2.1.12). */
import type { Certificate } from './certificate.ts';
import { contentOf, elementsOf, inside, OBJECT_IDENTIFIER, objectIdentifier, SEQUENCE } from './der.ts';

export const SERVER_USAGE = '1.3.6.1.5.5.7.3.1';
export const CLIENT_USAGE = '1.3.6.1.5.5.7.3.2';

const KEY_USAGE = '2.5.29.15';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const ANY_USAGE = '2.5.29.37.0';
const BIT_STRING = 0x03;
const MAY_SIGN = 0x80;

/** Whether the certificate allows every one of the extended `usages`. A missing extension allows every usage. */
export function allowsUsages({ extensions }: Certificate, usages: readonly string[]): boolean {
  const [keyUsage, extended] = [extensions.get(KEY_USAGE)?.value, extensions.get(EXTENDED_KEY_USAGE)?.value];
  try {
    const bits = keyUsage === undefined ? 0xff : (contentOf(elementsOf(keyUsage)[0], BIT_STRING)[1] ?? 0);
    const allowed =
      extended === undefined
        ? [ANY_USAGE]
        : inside(elementsOf(extended)[0], SEQUENCE).map((each) => objectIdentifier(contentOf(each, OBJECT_IDENTIFIER)));
    return (bits & MAY_SIGN) !== 0 && (allowed.includes(ANY_USAGE) || usages.every((each) => allowed.includes(each)));
  } catch {
    // Malformed extensions: TLS libraries refuse the certificate.
    return false;
  }
}
