/**
 * The users file: which users the other clusters have in the local etcd, and with which role each.
 *
 * `users: [{name: remote-west, role: remote}]`, other keys are ignored. An entry that is wrong costs that entry only, and
 * nothing is done to its user; a file that is no list of users is wrong as a whole. An empty list is a list; an empty file is
 * more likely one that is being written.
 */
import * as z from 'zod';
import { ProgramError } from '../../shared/errors.ts';
import { keyText, parseYaml, type YamlDocument, YamlFileError } from '../../shared/files/yaml-file.ts';
import { MAX_USERS_FILE_BYTES } from '../../shared/limits.ts';

export interface FileUser {
  readonly name: string;
  readonly role: string;
}

/** A users file that cannot be used: the message names file, line and key, and what is allowed there. */
export class UsersFileError extends ProgramError {
  readonly code = 'USERS_FILE_INVALID';
  readonly retriable = true;
}

/** An entry that is left out. */
export interface EntryProblem {
  /** The user that the entry names; undefined where its name cannot be read. */
  readonly user: string | undefined;
  /** Includes file, line, key and the allowed values. */
  readonly text: string;
}

export interface UsersFile {
  /** In the order of the file, each once. */
  readonly users: readonly FileUser[];
  readonly problems: readonly EntryProblem[];
}

const USERS = 'users, a list of {name, role}; [] for no users';
const ENTRY = '{name, role}';
const TEXT = 'a non-empty string';

/** The message of each check is what is allowed in that place. */
const FILE = z.object({ users: z.array(z.unknown(), USERS).nullable() }, USERS);

/**
 * The users of `text`. Of two entries for one user the last one counts, as in the original, which gives the user one role
 * after the other; where the roles differ, the other entry is a problem. Throws UsersFileError where the file is no list of
 * users; `file` is for messages.
 */
export function parseUsersFile(text: string, file: string): UsersFile {
  const yaml = yamlOf(text, file);
  const parsed = FILE.safeParse(yaml.content);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new UsersFileError(`users file ${told(yaml, issue?.path ?? [], `allowed: ${issue?.message}`)}`);
  }
  const entries = new Map<string, { readonly user: FileUser; readonly index: number }>();
  const problems: EntryProblem[] = [];
  for (const [index, content] of (parsed.data.users ?? []).entries()) {
    const user = readEntry(content, index, yaml);
    if ('text' in user) {
      problems.push(user);
      continue;
    }
    const before = entries.get(user.name);
    if (before !== undefined && before.user.role !== user.role) {
      const problem = `${JSON.stringify(user.name)} has the role ${JSON.stringify(user.role)} in a later entry; allowed: one entry for each user`;
      problems.push({ user: user.name, text: told(yaml, ['users', before.index, 'role'], problem) });
    }
    entries.set(user.name, { user, index });
  }
  return { users: [...entries.values()].map(({ user }) => user), problems };
}

function readEntry(content: unknown, index: number, yaml: YamlDocument): FileUser | EntryProblem {
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    return { user: undefined, text: told(yaml, ['users', index], `allowed: ${ENTRY}`) };
  }
  const field = (key: 'name' | 'role') => {
    const value = (content as Readonly<Record<string, unknown>>)[key];
    if (typeof value === 'string') return value;
    // Go's YAML accepts numbers and the like as strings.
    const isScalar = ['number', 'bigint', 'boolean'].includes(typeof value) || value instanceof Date;
    return isScalar ? (yaml.source(['users', index, key]) ?? '') : '';
  };
  const [name, role] = [field('name'), field('role')];
  if (name !== '' && role !== '') return { name, role };
  const key = name === '' ? 'name' : 'role';
  return { user: name === '' ? undefined : name, text: told(yaml, ['users', index, key], `allowed: ${TEXT}`) };
}

function told(yaml: YamlDocument, keys: readonly PropertyKey[], problem: string): string {
  return `${yaml.place(keys)}: ${keyText(keys)}${problem}`;
}

function yamlOf(text: string, file: string): YamlDocument {
  try {
    return parseYaml(text, file, MAX_USERS_FILE_BYTES);
  } catch (thrown) {
    throw thrown instanceof YamlFileError ? new UsersFileError(`users file ${thrown.message}`, { cause: thrown }) : thrown;
  }
}
