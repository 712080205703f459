/** Numbers of API objects: Go has integers of 64 bits, of which a JavaScript number holds no more than 53. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KubeDecodeError } from '../../../src/shared/kubernetes/errors.ts';
import { parseJson } from '../../../src/shared/kubernetes/objects/json.ts';
import { projectCiliumEndpoint, projectCiliumNode } from '../../../src/shared/kubernetes/objects/projections.ts';
import { ShapeError } from '../../../src/shared/kubernetes/objects/shape.ts';

const parse = (text: string) => parseJson(text, 'test');

test('an integer of 64 bits is read exactly, wherever it stands', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.nat(40), (value, padding) => {
      const text = `{"pad":"${'x'.repeat(padding)}","list":[{"key":${value}}],"__proto__":1}`;
      const { list } = parse(text) as { list: [{ key: number | bigint }] };
      expect(BigInt(list[0].key)).toBe(value);
      expect(typeof list[0].key).toBe(Number.isSafeInteger(Number(value)) ? 'number' : 'bigint');
      expect(Object.keys(parse(text) as object)).toContain('__proto__');
    }),
  );
});

test('what has no long integers is read as JSON.parse reads it', () => {
  const hasLongInteger = (text: string) => /(?<![\d.])\d{16}/.test(text);
  const json = fc.json().filter((text) => !hasLongInteger(text));
  fc.assert(
    fc.property(json, (text) => {
      expect(parse(text)).toEqual(JSON.parse(text));
    }),
  );
  const text = '{"digits":"12345678901234567890","half":0.12345678901234567,"big":1e300}';
  expect(parse(text)).toEqual(JSON.parse(text));
});

test('numbers that no field holds stay numbers, however long, and deep nesting is read', () => {
  expect(parse(`{"a":${'9'.repeat(100_000)}}`)).toEqual({ a: Number.POSITIVE_INFINITY });
  const depth = 20_000;
  const deep = parse(`{"key":9007199254740993,"deep":${'['.repeat(depth)}${']'.repeat(depth)}}`);
  expect(Object.keys(deep as object)).toEqual(['key', 'deep']);
});

test('text that is not JSON is reported only by its length', () => {
  const text = '{"secret":9007199254740993';
  expect(() => parse(text)).toThrow(new KubeDecodeError(`test: ${text.length} characters are not JSON`));
});

test.each(['9223372036854775808', '-9223372036854775809', '1e30', '0.5', '"7"'])(
  'a key of %s, which is no integer of 64 bits, is refused by name',
  (key) => {
    const node = parse(`{"metadata":{"name":"n"},"spec":{"encryption":{"key":${key}}}}`);
    expect(() => projectCiliumNode(node)).toThrow(new ShapeError('spec.encryption.key is not an integer of 64 bits'));
  },
);

test('an identity beyond 2^53 is kept exactly', () => {
  const endpoint = parse('{"metadata":{"name":"p","namespace":"n"},"status":{"identity":{"id":9007199254740993}}}');
  expect(projectCiliumEndpoint(endpoint).status?.identity?.id).toBe(9_007_199_254_740_993n);
});
