import { expect, test } from 'vitest';
import { parseUsersFile, UsersFileError } from '../../src/apiserver/users/users-file.ts';

test('users are read in the order of the file, other keys are ignored', () => {
  const text = 'version: 2\nusers:\n- name: remote-b\n  role: remote\n  extra: 1\n- {name: remote-a, role: local}\n';
  expect(parseUsersFile(text, 'u')).toEqual([
    { name: 'remote-b', role: 'remote' },
    { name: 'remote-a', role: 'local' },
  ]);
});

test.each(['users: []', 'users:\n', 'users: null\n'])('%j is a list of no users', (text) => {
  expect(parseUsersFile(text, 'u')).toEqual([]);
});

test.each([
  ['a mark at its end', 'users: [{name: a, role: r}]\n---\n'],
  ['a second document', 'users: [{name: a, role: r}]\n---\nnote: rendered by another template\n'],
  ['dots at its end', '---\nusers: [{name: a, role: r}]\n...\n'],
  ['a mark of bytes and carriage returns', '\ufeff---\r\nusers:\r\n- name: a\r\n  role: r\r\n'],
])('a file with %s is read', (_, text) => {
  expect(parseUsersFile(text, 'u')).toEqual([{ name: 'a', role: 'r' }]);
});

test('a user whose name is a word of YAML 1.1 keeps it', () => {
  expect(parseUsersFile('users: [{name: no, role: on}]', 'u')).toEqual([{ name: 'no', role: 'on' }]);
});

test('a user that is named twice with the same role is one user', () => {
  expect(parseUsersFile('users: [{name: a, role: r}, {name: a, role: r}]', 'u')).toEqual([{ name: 'a', role: 'r' }]);
});

test.each([
  ['', 'users file /u.yaml:1: allowed: users, a list'],
  ['user:\n- name: a\n', 'users file /u.yaml:1: users: allowed: users, a list'],
  ['users: [oops', 'users file /u.yaml:1: '],
  ['users:\n- name: a\n  role: r\n- name: b\n', 'users file /u.yaml:4: users[1].role: allowed: a text that is not empty'],
  [
    'users:\n- name: a\n  role: r\n- role: r\n  name: ""\n',
    'users file /u.yaml:5: users[1].name: allowed: a text that is not empty',
  ],
  ['users:\n- name: 7\n  role: r\n', 'users file /u.yaml:2: users[0].name: allowed: a text'],
  ['users:\n- a\n', 'users file /u.yaml:2: users[0]: allowed: {name, role}'],
  ['users: {a: b}\n', 'users file /u.yaml:1: users: allowed: users, a list'],
  ['users: []\nusers: []\n', 'users: named twice'],
  ['users:\n- {name: a, role: r}\n- {name: a, role: s}\n', 'users file /u.yaml:3: users[1].role: "a" has the role "r" already'],
  [`users: [${'{name: a, role: r},'.repeat(10_000)}]`, 'users file /u.yaml: larger than'],
  [`${'['.repeat(20_000)}`, 'users file /u.yaml'],
])('%.40j is refused by file, line and key', (text, message) => {
  expect(() => parseUsersFile(text, '/u.yaml')).toThrow(UsersFileError);
  expect(() => parseUsersFile(text, '/u.yaml')).toThrow(message);
});
