/**
 * The names in certificates, in the format of Go's `pkix.Name`: `CN=clustermesh-apiserver,O=Example`.
 *
 * Attributes have a fixed order, independent of the certificate; several values of one are joined by `+`, and
 * attributes without a short name come last, as identifier and bytes.
 */
import { contentOf, type DerElement, inside, OBJECT_IDENTIFIER, objectIdentifier, SEQUENCE, SET } from './der.ts';

/** In the order of the text. Of the first two, the last value alone counts. */
const ATTRIBUTES: readonly (readonly [string, string])[] = [
  ['2.5.4.5', 'SERIALNUMBER'],
  ['2.5.4.3', 'CN'],
  ['2.5.4.17', 'POSTALCODE'],
  ['2.5.4.9', 'STREET'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.7', 'L'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.10', 'O'],
  ['2.5.4.6', 'C'],
];
const SINGLE = ['SERIALNUMBER', 'CN'];

const UTF8_STRING = 0x0c;
const PRINTABLE_STRING = 0x13;
const BMP_STRING = 0x1e;
const BYTE_STRINGS: readonly number[] = [UTF8_STRING, 0x12, PRINTABLE_STRING, 0x14, 0x16];

interface Attribute {
  readonly type: string;
  readonly value: DerElement;
}

/** `name` is the element of a subject or an issuer. Throws DerError. */
export function distinguishedName(name: DerElement | undefined): string {
  const attributes = inside(name, SEQUENCE).flatMap((set) => inside(set, SET).map(attributeOf));
  const known = ATTRIBUTES.flatMap(([type, short]) => {
    const values = attributes.filter((attribute) => attribute.type === type).flatMap(({ value }) => textOf(value) ?? []);
    const shown = SINGLE.includes(short) ? values.slice(-1) : values;
    return shown.length === 0 ? [] : [shown.map((value) => `${short}=${escaped(value)}`).join('+')];
  });
  const others = attributes.filter(({ type }) => !ATTRIBUTES.some(([knownType]) => knownType === type));
  return [...known, ...others.toReversed().map(({ type, value }) => `${type}=#${encoded(value).toString('hex')}`)].join(',');
}

/** The common names; etcd uses the last one as the user. */
export function commonName(name: DerElement | undefined): string | undefined {
  const attributes = inside(name, SEQUENCE).flatMap((set) => inside(set, SET).map(attributeOf));
  const last = attributes.findLast(({ type }) => type === '2.5.4.3');
  return last === undefined ? undefined : textOf(last.value);
}

function attributeOf(element: DerElement): Attribute {
  const [type, value] = inside(element, SEQUENCE);
  return { type: objectIdentifier(contentOf(type, OBJECT_IDENTIFIER)), value: value ?? { tag: 0, content: Buffer.alloc(0) } };
}

function textOf({ tag, content }: DerElement): string | undefined {
  if (BYTE_STRINGS.includes(tag)) return content.toString('utf8');
  if (tag === BMP_STRING && content.length % 2 === 0) return Buffer.from(content).swap16().toString('utf16le');
  return undefined;
}

/** As Go encodes the value again that it has read: texts in the smallest kind that holds them. */
function encoded(value: DerElement): Buffer {
  const text = textOf(value);
  const content = text === undefined ? value.content : Buffer.from(text, 'utf8');
  const tag = text === undefined ? value.tag : /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text) ? PRINTABLE_STRING : UTF8_STRING;
  const octets = content.length < 0x80 ? [content.length] : lengthOctets(content.length);
  return Buffer.concat([Buffer.from([tag, ...octets]), content]);
}

function lengthOctets(length: number): readonly number[] {
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return [0x80 | octets.length, ...octets];
}

function escaped(value: string): string {
  const characters = [...value];
  return characters
    .map((character, index) => {
      const isEdge = index === 0 || index === characters.length - 1;
      const isSpecial = ',+"\\<>;'.includes(character) || (character === ' ' && isEdge) || (character === '#' && index === 0);
      return isSpecial ? `\\${character}` : character;
    })
    .join('');
}
