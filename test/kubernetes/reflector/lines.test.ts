/** Cutting streams of bytes into lines and into the items of a list, wherever the chunks end. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KubeDecodeError } from '../../../src/shared/kubernetes/errors.ts';
import { MAX_KUBE_ENVELOPE_BYTES, MAX_KUBE_OBJECT_BYTES } from '../../../src/shared/kubernetes/limits.ts';
import { LineSplitter } from '../../../src/shared/kubernetes/reflector/lines.ts';
import { ListItemSplitter } from '../../../src/shared/kubernetes/reflector/list-items.ts';

/** `bytes` in pieces of the sizes given, over and over. */
function* chunksOf(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, n = 0; at < bytes.length; n += 1) {
    const size = sizes[n % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 });

test('lines come out as they went in, wherever the chunks end', () => {
  const line = fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify(text));
  fc.assert(
    fc.property(fc.array(line), sizes, (lines, cuts) => {
      const splitter = new LineSplitter();
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
      const seen = [...chunksOf(bytes, cuts)].flatMap((chunk) => [...splitter.push(chunk)].map(String));
      splitter.finish();
      expect(seen).toEqual(lines);
    }),
  );
});

test('empty lines are left out, and an end inside a line is an error', () => {
  const splitter = new LineSplitter();
  expect([...splitter.push(Buffer.from('a\n\n\nb\nc'))].map(String)).toEqual(['a', 'b']);
  expect(() => splitter.finish()).toThrow(KubeDecodeError);
});

test.for([1, 2])('a line over the bound is refused, in %i chunks', (pieces) => {
  const splitter = new LineSplitter();
  const bytes = Buffer.alloc(MAX_KUBE_OBJECT_BYTES + 2, 'x');
  bytes[bytes.length - 1] = 0x0a;
  const half = Math.ceil(bytes.length / pieces);
  expect(() => {
    for (let at = 0; at < bytes.length; at += half) Array.from(splitter.push(bytes.subarray(at, at + half)));
  }).toThrow('longer than');
});

const item = fc.dictionary(fc.string(), fc.jsonValue());
const list = fc.record({
  before: fc.dictionary(fc.string(), fc.jsonValue()),
  items: fc.array(item),
  after: fc.dictionary(fc.string(), fc.jsonValue()),
  space: fc.constantFrom(0, 1),
  sizes,
});

test('the items of a list are unchanged, with any envelope and any chunks', () => {
  fc.assert(
    fc.property(list, ({ before, items, after, space, sizes: cuts }) => {
      const whole = Object.fromEntries(Object.entries({ ...before, kind: 'List' }).filter(([name]) => name !== 'items'));
      const rest = Object.fromEntries(Object.entries(after).filter(([name]) => name !== 'items' && !Object.hasOwn(whole, name)));
      const text = JSON.stringify({ ...whole, items, ...rest }, undefined, space);
      const splitter = new ListItemSplitter();
      const seen = [...chunksOf(Buffer.from(text), cuts)].flatMap((chunk) => Array.from(splitter.push(chunk), String));
      expect(seen.map((json) => JSON.parse(json))).toEqual(JSON.parse(JSON.stringify(items)));
      expect(splitter.finish()).toEqual(JSON.parse(JSON.stringify({ ...whole, items: [], ...rest })));
    }),
  );
});

test('only the items at the top are items', () => {
  const text =
    '{"metadata":{"items":[{"a":1}]},"kind":"items","x\\"items":[{"b":2}],"items":[{"items":[{"c":3}]}],"other":["items",[4]]}';
  const splitter = new ListItemSplitter();
  expect(Array.from(splitter.push(Buffer.from(text)), String)).toEqual(['{"items":[{"c":3}]}']);
  expect(splitter.finish()).toEqual({ ...(JSON.parse(text) as object), items: [] });
});

test('a list whose items are null has none', () => {
  const splitter = new ListItemSplitter();
  expect([...splitter.push(Buffer.from('{"items":null,"metadata":{}}'))]).toEqual([]);
  expect(splitter.finish()).toEqual({ items: null, metadata: {} });
});

test.for([
  ['{"items":[', 'ended early'],
  ['{"kind":"a', 'ended early'],
  ['{"items":[]}}', 'unbalanced brackets'],
  ['{"items":[1]}', 'not an object'],
  ['{"items":["a"]}', 'not an object'],
  ['{"items":[null]}', 'not an object'],
  ['nothing', 'not JSON'],
  ['', 'not JSON'],
] as const)('%s is not a list', ([text, message]) => {
  const splitter = new ListItemSplitter();
  expect(() => {
    Array.from(splitter.push(Buffer.from(text)));
    splitter.finish();
  }).toThrow(message);
});

test('an item or an envelope over its bound is refused', () => {
  const filler = Buffer.alloc(1024 * 1024, 'x');
  const feed = (start: string, sizeBytes: number) => () => {
    const splitter = new ListItemSplitter();
    Array.from(splitter.push(Buffer.from(start)));
    for (let sent = 0; sent <= sizeBytes; sent += filler.length) Array.from(splitter.push(filler));
  };
  expect(feed('{"items":[{"a":"', MAX_KUBE_OBJECT_BYTES)).toThrow('an object of a list is longer than');
  expect(feed('{"kind":"', MAX_KUBE_ENVELOPE_BYTES)).toThrow('the metadata of a list is longer than');
});
