/**
 * The data of ICU that is linked into Node: a table of names and offsets, and the items behind it.
 */

interface Item {
  readonly name: Buffer;
  readonly content: Buffer;
}

export interface IcuData {
  /** Where its header begins. */
  readonly start: number;
  /** Where the last item begins, whose length the table does not tell. */
  readonly lastItem: number;
  readonly items: readonly Item[];
  /** The header with the words about copyright. */
  readonly header: Buffer;
}

/** In front of the format's name: two bytes of magic, and a description of 20 bytes. */
const FORMAT = 'CmnD';
const FORMAT_OFFSET = 12;
const MAGIC = 0x27da;
const ITEM_ALIGNMENT = 16;

/** Names of locales, such as `zh_Hant_HK`. Data that is for all of them has longer names, or is `root` or `pool`. */
const LOCALE = /^[a-z]{2,3}(?:_[A-Z][a-z]{3})?(?:_(?:[A-Z]{2}|\d{3}))?(?:_[A-Z]+)?\.res$/;
const KEPT_LOCALES = new Set(['en.res', 'en_001.res', 'en_US.res', 'en_US_POSIX.res']);

/** Whether the item is of no use to a program that speaks English: other locales, words of languages, transliterations. */
export function isOfOtherLanguages(name: string): boolean {
  const file = name.split('/').at(-1) ?? '';
  return (LOCALE.test(file) && !KEPT_LOCALES.has(file)) || name.endsWith('.dict') || name.includes('/translit/');
}

/** Throws where there is none in the program. The last item has no content. */
export function findIcuData(program: Buffer): IcuData {
  for (let at = program.indexOf(FORMAT); at !== -1; at = program.indexOf(FORMAT, at + 1)) {
    const start = at - FORMAT_OFFSET;
    if (start >= 0 && program.readUInt16LE(start + 2) === MAGIC) return readIcuData(program, start);
  }
  throw new TypeError('there is no data of ICU in the program; build with ICU=full');
}

function readIcuData(program: Buffer, start: number): IcuData {
  const table = start + program.readUInt16LE(start);
  const count = program.readUInt32LE(table);
  const offset = (index: number) => program.readUInt32LE(table + 4 + 4 * index);
  const items = Array.from({ length: count }, (_, index) => {
    const name = table + offset(2 * index);
    const content = table + offset(2 * index + 1);
    const end = index + 1 < count ? table + offset(2 * index + 3) : content;
    return { name: program.subarray(name, program.indexOf(0, name)), content: program.subarray(content, end) };
  });
  return { start, lastItem: table + offset(2 * count - 1), items, header: program.subarray(start, table) };
}

/** Data with `items` only, which are in the order of `findIcuData`. */
export function icuData(header: Buffer, items: readonly Item[]): Buffer {
  const tableBytes = 4 + 8 * items.length;
  const namesBytes = items.reduce((sum, { name }) => sum + name.length + 1, 0);
  // Items are aligned to where the data begins, and the header may have any length.
  const aligned = (offset: number) => Math.ceil((header.length + offset) / ITEM_ALIGNMENT) * ITEM_ALIGNMENT - header.length;
  let nameOffset = tableBytes;
  let contentOffset = aligned(tableBytes + namesBytes);
  const total = items.reduce((end, { content }) => aligned(end + content.length), contentOffset);
  const body = Buffer.alloc(total);
  body.writeUInt32LE(items.length, 0);
  items.forEach(({ name, content }, index) => {
    body.writeUInt32LE(nameOffset, 4 + 8 * index);
    body.writeUInt32LE(contentOffset, 8 + 8 * index);
    name.copy(body, nameOffset);
    content.copy(body, contentOffset);
    nameOffset += name.length + 1;
    contentOffset = aligned(contentOffset + content.length);
  });
  return Buffer.concat([header, body]);
}
