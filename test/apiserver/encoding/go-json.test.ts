import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compareBytes,
  type Json,
  jsonInteger,
  jsonList,
  jsonMap,
  jsonStruct,
  jsonText,
  jsonTextMap,
} from '../../../src/apiserver/encoding/go-json.ts';

describe('text', () => {
  const cases: readonly [what: string, text: string, json: string][] = [
    ['quotes and backslashes', 'a"b\\c', String.raw`"a\"b\\c"`],
    ['characters that HTML takes for its own', '<b>&', String.raw`"\u003cb\u003e\u0026"`],
    ['line separators', '\u2028\u2029', String.raw`"\u2028\u2029"`],
    ['control characters with a short form', '\b\f\n\r\t', String.raw`"\b\f\n\r\t"`],
    ['other control characters', '\u0000\u001f', String.raw`"\u0000\u001f"`],
    ['DEL and letters of other scripts as they are', '\u007fé🖋', '"\u007fé🖋"'],
    ['a lone surrogate as the replacement character', 'a\ud800b', '"a\ufffdb"'],
  ];
  test.each(cases)('escapes %s', (_, text, json) => {
    expect(jsonText(text)).toBe(json);
  });

  test('any text is read back unchanged', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => JSON.parse(jsonText(text)) === text));
  });
});

describe('a map', () => {
  test('has its names in the order of their bytes, numbers among them', () => {
    expect(jsonTextMap({ b: '2', '8080': '0', a: '1', '10': '3', Z: '4' })).toBe('{"10":"3","8080":"0","Z":"4","a":"1","b":"2"}');
  });

  test('sorts a character beyond U+FFFF after one from the end of the basic plane', () => {
    expect(jsonTextMap({ '\u{1f58b}': '1', '\uff21': '2' })).toBe('{"\uff21":"2","\u{1f58b}":"1"}');
  });

  test('keeps names that mean something to JavaScript', () => {
    const hostile = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}') as Record<string, string>;
    expect(jsonTextMap(hostile)).toBe('{"__proto__":"a","constructor":"b","toString":"c"}');
  });

  test('has the last of equal names', () => {
    expect(jsonMap([['p', jsonInteger(1)] as const, ['p', jsonInteger(2)] as const])).toBe('{"p":2}');
  });
});

test('a struct keeps its order and leaves out what is undefined', () => {
  expect(jsonStruct({ z: jsonInteger(1), left: undefined, a: jsonList([jsonText('x'), 'null' as Json]) })).toBe(
    '{"z":1,"a":["x",null]}',
  );
});

test('names are compared as their UTF-8 bytes are', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '\ud7ff', '\ue000', '\uff21', '\u{1f58b}', '\u{10ffff}') });
  fc.assert(
    fc.property(
      text,
      text,
      (a, b) => Math.sign(compareBytes(a, b)) === Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))),
    ),
  );
});
