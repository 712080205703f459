import { expect, test } from 'vitest';
import { parseUsersFile, UsersFileError } from '../../../src/apiserver/users/users-file.ts';

test('users are read in the order of the file, other keys are ignored', () => {
  const text = 'version: 2\nusers:\n- name: remote-b\n  role: remote\n  extra: 1\n- {name: remote-a, role: local}\n';
  expect(parseUsersFile(text, 'u')).toEqual({
    users: [
      { name: 'remote-b', role: 'remote' },
      { name: 'remote-a', role: 'local' },
    ],
    problems: [],
  });
});

test.each(['users: []', 'users:\n', 'users: null\n'])('%j is a list of no users', (text) => {
  expect(parseUsersFile(text, 'u')).toEqual({ users: [], problems: [] });
});

test.each([
  ['a mark at its end', 'users: [{name: a, role: r}]\n---\n'],
  ['a second document', 'users: [{name: a, role: r}]\n---\nnote: rendered by another template\n'],
  ['dots at its end', '---\nusers: [{name: a, role: r}]\n...\n'],
  ['a mark of bytes and carriage returns', '\ufeff---\r\nusers:\r\n- name: a\r\n  role: r\r\n'],
])('a file with %s is read', (_, text) => {
  expect(parseUsersFile(text, 'u').users).toEqual([{ name: 'a', role: 'r' }]);
});

test('a user whose name is a word of YAML 1.1 is kept', () => {
  expect(parseUsersFile('users: [{name: no, role: on}]', 'u').users).toEqual([{ name: 'no', role: 'on' }]);
});

test('a user that is named twice with the same role is one user', () => {
  expect(parseUsersFile('users: [{name: a, role: r}, {name: a, role: r}]', 'u')).toEqual({
    users: [{ name: 'a', role: 'r' }],
    problems: [],
  });
});

test.each([
  ['', 'users file /u.yaml:1: allowed: users, a list'],
  ['user:\n- name: a\n', 'users file /u.yaml:1: users: allowed: users, a list'],
  ['users: [oops', 'users file /u.yaml:1: '],
  ['users: {a: b}\n', 'users file /u.yaml:1: users: allowed: users, a list'],
  ['users: []\nusers: []\n', 'users: duplicate key'],
  [`users: [${'{name: a, role: r},'.repeat(10_000)}]`, 'users file /u.yaml: larger than'],
  [`${'['.repeat(20_000)}`, 'users file /u.yaml'],
  ['? '.repeat(66), 'users file /u.yaml:1: a list or a mapping as a key; allowed: a text'],
])('%.40j is refused by file, line and key', (text, message) => {
  expect(() => parseUsersFile(text, '/u.yaml')).toThrow(UsersFileError);
  expect(() => parseUsersFile(text, '/u.yaml')).toThrow(message);
});

const TEXT = 'allowed: a non-empty string';

test.each<[entry: string, user: string | undefined, text: string]>([
  ['{name: b}', 'b', `/u.yaml:3: users[1].role: ${TEXT}`],
  ['{name: b, role: null}', 'b', `/u.yaml:3: users[1].role: ${TEXT}`],
  ['{name: b, role: [r]}', 'b', `/u.yaml:3: users[1].role: ${TEXT}`],
  ['{role: r, name: ""}', undefined, `/u.yaml:3: users[1].name: ${TEXT}`],
  ['{nam: b, role: r}', undefined, `/u.yaml:3: users[1].name: ${TEXT}`],
  ['{Name: b, role: r}', undefined, `/u.yaml:3: users[1].name: ${TEXT}`],
  ['{name: {x: y}, role: r}', undefined, `/u.yaml:3: users[1].name: ${TEXT}`],
  ['b', undefined, '/u.yaml:3: users[1]: allowed: {name, role}'],
  ['[b, r]', undefined, '/u.yaml:3: users[1]: allowed: {name, role}'],
  ['null', undefined, '/u.yaml:3: users[1]: allowed: {name, role}'],
])('the entry %s costs that entry only, and is named by file, line and key', (entry, user, text) => {
  const file = `users:\n- {name: a, role: r}\n- ${entry}\n- {name: c, role: s}\n`;
  expect(parseUsersFile(file, '/u.yaml')).toEqual({
    users: [
      { name: 'a', role: 'r' },
      { name: 'c', role: 's' },
    ],
    problems: [{ user, text }],
  });
});

test('of entries with different roles for one user the last one counts, as in the original, and the others are named', () => {
  const file = 'users:\n- {name: a, role: r}\n- {name: b, role: r}\n- {name: a, role: s}\n- {name: a, role: s}\n';
  expect(parseUsersFile(file, '/u.yaml')).toEqual({
    users: [
      { name: 'a', role: 's' },
      { name: 'b', role: 'r' },
    ],
    problems: [
      { user: 'a', text: '/u.yaml:2: users[0].role: "a" has the role "s" in a later entry; allowed: one entry for each user' },
    ],
  });
});

/** Found with Go's YAML library and the structure that the original reads the file into. */
test.each([
  ['7', '7'],
  ['010', '010'],
  ['1.50', '1.50'],
  ['true', 'true'],
  ['yes', 'yes'],
  ['2020-01-01', '2020-01-01'],
  ['0x1F', '0x1F'],
  ['"7"', '7'],
  ['remote-west # a comment', 'remote-west'],
])('a name %s is the text %s', (written, name) => {
  expect(parseUsersFile(`users:\n- name: ${written}\n  role: ${written}\n`, 'u')).toEqual({
    users: [{ name, role: name }],
    problems: [],
  });
});
