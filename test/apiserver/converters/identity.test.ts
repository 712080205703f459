import { expect, test } from 'vitest';
import { convertIdentity, namespaceOfIdentity } from '../../../src/apiserver/converters/identity.ts';

const east = { name: 'east', id: 7 };
const owned = { 'k8s:io.kubernetes.pod.namespace': 'shop' };

function convert(labels: Record<string, string>, name = '459777') {
  const { entries } = convertIdentity(east, { metadata: { name }, 'security-labels': labels });
  return Object.fromEntries(entries.map(({ key, value }) => [key, Buffer.from(value).toString()]));
}

test.each([
  [
    'labels are sorted by their keys, the source aside',
    { 'k8s:b': '1', 'any:c': '2', 'k8s:a': '3', ...owned },
    'k8s:a=3;k8s:b=1;any:c=2;k8s:io.kubernetes.pod.namespace=shop;',
  ],
  [
    'upper case comes first, as bytes do',
    { 'k8s:zeta': '1', 'k8s:Alpha': '2', ...owned },
    'k8s:Alpha=2;k8s:io.kubernetes.pod.namespace=shop;k8s:zeta=1;',
  ],
  ['a label without a source gets one', { plain: 'x', ...owned }, 'k8s:io.kubernetes.pod.namespace=shop;unspec:plain=x;'],
  ['an empty source is none', { ':plain': 'x', ...owned }, 'k8s:io.kubernetes.pod.namespace=shop;unspec:plain=x;'],
  ['only the first colon ends the source', { 'cidr:a:b': '', ...owned }, 'cidr:a:b=;k8s:io.kubernetes.pod.namespace=shop;'],
  ['values travel raw', { 'k8s:a': 'd=e;f', ...owned }, 'k8s:a=d=e;f;k8s:io.kubernetes.pod.namespace=shop;'],
  [
    'of two sources of one key the later in the alphabet stays',
    { 'k8s:a': '1', 'any:a': '2', ...owned },
    'k8s:a=1;k8s:io.kubernetes.pod.namespace=shop;',
  ],
])('%s', (_, labels, text) => {
  expect(convert(labels)).toEqual({ 'cilium/state/identities/v1/id/459777': text });
});

test.each([
  ['$host', '', 'reserved:host=;'],
  ['reserved:', 'health', 'reserved:health=;'],
  ['$a:b', 'c', 'reserved:a:b=c;'],
  ['$', 'host', 'reserved:host=;'],
  ['$host', 'x', 'reserved:host=x;'],
  ['reserved.host', '', 'reserved:host=;'],
  ['reserved.', 'init', 'reserved:init=;'],
  ['reserved.a:b', 'c', 'reserved.a:b=c;'],
  ['reserved:host', '', 'reserved:host=;'],
  ['reserved', '', 'unspec:reserved=;'],
  ['k8s:$a', '', 'k8s:$a=;'],
  ['k8s:', 'a', 'k8s:=a;'],
  ['', 'a', 'unspec:=a;'],
  [':', 'a', 'unspec:=a;'],
])('the label %j of value %j is %j, as agents read short forms of reserved labels', (name, value, label) => {
  const [text = ''] = Object.values(convert({ [name]: value, ...owned }));
  expect(text.replace('k8s:io.kubernetes.pod.namespace=shop;', '')).toBe(label);
});

test('a label in its short form and in full is one label', () => {
  const [text] = Object.values(convert({ $host: '', 'reserved:host': '', ...owned }));
  expect(text).toBe('reserved:host=;k8s:io.kubernetes.pod.namespace=shop;');
});

test('labels with the names of JavaScript objects are labels like others', () => {
  const labels = JSON.parse('{"__proto__":"x","k8s:constructor":"y","k8s:io.kubernetes.pod.namespace":"shop"}') as Record<
    string,
    string
  >;
  expect(Object.values(convert(labels))).toEqual(['unspec:__proto__=x;k8s:constructor=y;k8s:io.kubernetes.pod.namespace=shop;']);
});

test('an identity is called what its object is called, number or not', () => {
  expect(Object.keys(convert(owned, '007'))).toEqual(['cilium/state/identities/v1/id/007']);
});

test.each([
  ['without labels', {}],
  ['without a namespace label', { 'reserved:host': '' }],
  ['with an empty namespace', { 'k8s:io.kubernetes.pod.namespace': '', 'k8s:a': 'b' }],
])('an identity %s is not exported', (_, labels) => {
  expect(convert(labels)).toEqual({});
});

test('the namespace comes from the security labels alone', () => {
  const labels = { 'io.kubernetes.pod.namespace': 'other' };
  expect(namespaceOfIdentity({ metadata: { name: '1', labels }, 'security-labels': owned })).toBe('shop');
  expect(namespaceOfIdentity({ metadata: { name: '1', labels } })).toBe('');
});
