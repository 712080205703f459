import { expect, test } from 'vitest';
import { linksOf, pairsOf } from '../../src/mesh/connect/links.ts';

const told = (links: readonly { readonly local: string; readonly remote: string }[]) =>
  links.map(({ local, remote }) => `${local} ${remote}`).sort();

test('each mode gives entries to the clusters that it names, and each two clusters are checked once', () => {
  const all = ['a', 'b', 'c'];
  expect(told(linksOf(all, 'unicast'))).toEqual(['a b', 'a c']);
  expect(told(linksOf(all, 'bidirectional'))).toEqual(['a b', 'a c', 'b a', 'c a']);
  expect(told(linksOf(all, 'mesh'))).toEqual(['a b', 'a c', 'b a', 'b c', 'c a', 'c b']);
  expect(told(pairsOf(linksOf(all, 'bidirectional')))).toEqual(['a b', 'a c']);
  expect(told(pairsOf(linksOf(all, 'mesh')))).toEqual(['a b', 'a c', 'b c']);
});
