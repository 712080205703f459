import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileJsonPath } from '../../../src/cli/command/json-path.ts';
import { structuredOutput } from '../../../src/cli/command/structured-output.ts';
import { FlagError } from '../../../src/shared/flags/error.ts';

const clusters = [
  { name: 'berlin', ready: true, 'num-nodes': 5, synced: { nodes: true, 'a.b': 1 } },
  { name: 'oslo', 'num-nodes': 0, synced: {} },
];

test.each([
  ['{[0].name}', 'berlin'],
  ['{[*].name}', 'berlin oslo'],
  ['{[-1].name}', 'oslo'],
  ['{[0:1].name}', 'berlin'],
  ['{$[1].num-nodes}', '0'],
  ['{[0].synced}', '{"nodes":true,"a.b":1}'],
  ["{[0].synced['a.b']}", '1'],
  ['{[0].synced.a\\.b}', '1'],
  ['{[0].missing.more}', ''],
  ['{[7].name}', ''],
  ['{..nodes}', 'true'],
  ['{[?(@.ready==true)].name}', 'berlin'],
  ['{[?(@.ready)].name}', 'berlin'],
  ['{[?(@.name!="berlin")].name}', 'oslo'],
  ['{[?(@.num-nodes>=5)].name}', 'berlin'],
  ['{range [*]}{.name}={.num-nodes}{"\\n"}{end}', 'berlin=5\noslo=0\n'],
  ['names: {[*].name}!', 'names: berlin oslo!'],
  ['{"{"}', '{'],
])('%s gives %j', (template, text) => {
  expect(compileJsonPath(template)(clusters)).toBe(text);
});

test('the whole answer is one value', () => {
  expect(compileJsonPath('{}')(clusters)).toBe(JSON.stringify(clusters));
  expect(compileJsonPath('{.}')(clusters)).toBe(JSON.stringify(clusters));
});

test.each(['{[0].name', '}', '{range [*]}{.name}', '{end}', '{[a]}', '{[?(@.x ~ 1)]}', '{.a b}'])('%s is refused', (template) => {
  expect(() => compileJsonPath(template)).toThrow(FlagError);
});

test('any text is either a path or refused, at once', () => {
  const alphabet = fc.constantFrom(...'{}[]().*@?=!<>"\'\\:0a-, $\n', 'range ', '{end}');
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 40 }), (pieces) => {
      try {
        compileJsonPath(pieces.join(''))(clusters);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(FlagError);
      }
    }),
    { numRuns: 2_000 },
  );
  expect(() => compileJsonPath('{'.repeat(4_000))).toThrow(FlagError);
});

test('JSON is indented by two blanks, YAML sorts its keys and quotes what its readers would misread', () => {
  expect(structuredOutput('json')([{ a: 1 }])).toBe('[\n  {\n    "a": 1\n  }\n]\n');
  expect(structuredOutput('yaml')([{ name: 'no', a: '2026-01-01T00:00:00.000Z' }])).toBe(
    '- a: "2026-01-01T00:00:00.000Z"\n  name: "no"\n',
  );
  expect(structuredOutput('yaml')([])).toBe('[]\n');
  expect(() => structuredOutput('xml')).toThrow('flag --output: "xml" is not supported; allowed: json, yaml, jsonpath=');
});
