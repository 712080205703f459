import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseLabelSelector } from '../../../src/apiserver/export/label-selector.ts';
import { apiserverFlagTable } from '../../../src/apiserver/flags.ts';
import { FlagError } from '../../../src/shared/flags/error.ts';
import { parseFlags } from '../../../src/shared/flags/parse.ts';
import { providerMissing, startKubernetes } from '../../support/kubernetes/kubernetes-provider.ts';
import { almostSelectors, labels, selectors } from './selector-arbitraries.ts';

test('a selector matches with any spacing', () => {
  fc.assert(
    fc.property(selectors, labels, ({ text, selects }, some) => {
      expect(parseLabelSelector(text).matches(some)).toBe(selects(some));
    }),
    { numRuns: 2_000 },
  );
});

test('its shortest form reads as the same selector', () => {
  fc.assert(
    fc.property(selectors, labels, ({ text }, some) => {
      const parsed = parseLabelSelector(text);
      const again = parseLabelSelector(parsed.text);
      expect([again.text, again.labelNames, again.matches(some)]).toEqual([parsed.text, parsed.labelNames, parsed.matches(some)]);
    }),
    { numRuns: 1_000 },
  );
});

test('what is not a selector is refused in one line, with a position within it', () => {
  fc.assert(
    fc.property(fc.oneof(almostSelectors, fc.string()), (text) => {
      try {
        parseLabelSelector(text);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(FlagError);
        const { message } = thrown as FlagError;
        expect(message).not.toContain('\n');
        const position = Number(/ at character (\d+); allowed: /.exec(message)?.[1]);
        expect(position).toBeGreaterThanOrEqual(1);
        expect(position).toBeLessThanOrEqual(text.length + 1);
      }
    }),
    { numRuns: 2_000 },
  );
});

test.each<[string, string]>([
  ['', ''],
  ['  ', ''],
  ['a=b,c!=d,e in (x,y),f notin (z),!g', 'a=b,c!=d,e in (x,y),f!=z,!g'],
  ['a == b , c', 'a=b,c'],
  ['a=', 'a='],
  ['a in ()', 'a='],
  ['a in (x,,x)', 'a in (x,)'],
  ['in in (in)', 'in=in'],
  ['mesh.example.com/export', 'mesh.example.com/export'],
])('%j is in its shortest form %j', (text, short) => {
  expect(parseLabelSelector(text).text).toBe(short);
});

test.each<[string, string]>([
  ['a=b,,c', 'unexpected "," at character 5; allowed: a label name'],
  ['a=b,', 'unexpected end at character 5; allowed: a label name'],
  ['a in (b', 'unexpected end at character 8; allowed: a comma or )'],
  ['a in b', 'unexpected "b" at character 6; allowed: ('],
  ['a>1', 'unexpected ">" at character 2; allowed: =, ==, !=, in or notin'],
  ['!a=b', 'unexpected "=" at character 3; allowed: a comma or the end of the selector'],
  ['a b', 'unexpected "b" at character 3; allowed: =, ==, !=, in or notin'],
  ['-a', 'unexpected "-a" at character 1; allowed: a label name: at most 63'],
  ['x/y/z', 'unexpected "x/y/z" at character 1; allowed: a label name: at most 63'],
  ['a=b/c', 'unexpected "b/c" at character 3; allowed: a value: at most 63'],
  [`a=${'x'.repeat(64)}`, '" at character 3; allowed: a value: at most 63'],
])('%j is refused where it is wrong', (text, message) => {
  expect(() => parseLabelSelector(text)).toThrow(message);
});

test.each<[string, string]>([
  ['--export-selector=a=b,,c', 'flag --export-selector: "a=b,,c" is not a label selector: unexpected "," at character 5'],
  [
    '--export-namespace-selector=!',
    'flag --export-namespace-selector: "!" is not a label selector: unexpected end at character 2',
  ],
  ['--export-namespaces=shop,Kiosk', 'flag --export-namespaces: "Kiosk" is not a namespace name'],
])('%s is refused by the name of the flag', (argument, message) => {
  expect(() => parseFlags(apiserverFlagTable, [argument], {})).toThrow(message);
});

const missing = providerMissing('real');

describe.skipIf(missing !== undefined)(`a real kube-apiserver (${missing ?? 'here'})`, () => {
  test('accepts the same selectors and selects the same services', async () => {
    await using kubernetes = await startKubernetes('real');
    const path = '/api/v1/namespaces/default/services';
    const samples = fc.sample(labels, { numRuns: 20, seed: 7 });
    for (const [index, some] of samples.entries()) {
      const metadata = { name: `s-${index}`, labels: { sample: 'yes', ...some } };
      await kubernetes.requests.create(path, { metadata, spec: { clusterIP: 'None' } });
    }
    const written = fc.sample(selectors, { numRuns: 60, seed: 7 }).map(({ text }) => text);
    const almost = fc.sample(almostSelectors, { numRuns: 300, seed: 7 });
    for (const text of [...written, ...almost]) {
      const answer = await kubernetes.requests.send('GET', `${path}?labelSelector=${encodeURIComponent(text)}`);
      if (answer.code === 400) expect(() => parseLabelSelector(text), text).toThrow(FlagError);
      else {
        const parsed = parseLabelSelector(text);
        const { items } = answer.body as { items: { metadata: { name: string } }[] };
        const found = items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('s-'));
        const expected = samples.flatMap((some, index) => (parsed.matches({ sample: 'yes', ...some }) ? [`s-${index}`] : []));
        expect(found.sort(), text).toEqual(expected.sort());
        const short = await kubernetes.requests.send('GET', `${path}?labelSelector=${encodeURIComponent(parsed.text)}`);
        expect((short.body as { items: unknown[] }).items, text).toHaveLength(items.length);
      }
    }
  });
});
