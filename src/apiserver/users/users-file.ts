/**
 * The users file: which users the other clusters have in the local etcd, and with which role each.
 *
 * `users: [{name: remote-west, role: remote}]`, other keys are ignored. A file that is wrong in one place is wrong
 * as a whole: half of it would remove the users of the other half. An empty list is a list; an empty file is
 * more likely one that is being written.
 */
import { z } from 'zod';
import { ProgramError } from '../../shared/errors.ts';
import { MAX_USERS_FILE_BYTES } from '../../shared/limits.ts';
import { keyText, parseYaml, type YamlDocument, YamlFileError } from '../../shared/yaml-file.ts';

export interface FileUser {
  readonly name: string;
  readonly role: string;
}

/** A users file that cannot be used: the message names file, line and key, and what is allowed there. */
export class UsersFileError extends ProgramError {
  readonly code = 'USERS_FILE_INVALID';
  readonly retriable = true;
}

const USERS = 'users, a list of {name, role}; [] for no users';
const ENTRY = '{name, role}';
const NAME = 'a text that is not empty';

/** The message of each check is what is allowed in that place. */
const FILE = z.object(
  {
    users: z.array(z.object({ name: z.string(NAME).min(1, NAME), role: z.string(NAME).min(1, NAME) }, ENTRY), USERS).nullable(),
  },
  USERS,
);

/** The users of `text`, in its order and each once. Throws UsersFileError; `file` is for its message. */
export function parseUsersFile(text: string, file: string): readonly FileUser[] {
  const { content, place } = yamlOf(text, file);
  const refuse = (keys: readonly PropertyKey[], problem: string) =>
    new UsersFileError(`users file ${place(keys)}: ${keyText(keys)}${problem}`);
  const parsed = FILE.safeParse(content);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw refuse(issue?.path ?? [], `allowed: ${issue?.message}`);
  }
  const users = new Map<string, FileUser>();
  for (const [index, user] of (parsed.data.users ?? []).entries()) {
    const before = users.get(user.name);
    if (before !== undefined && before.role !== user.role) {
      const name = JSON.stringify(user.name);
      throw refuse(['users', index, 'role'], `${name} has the role ${JSON.stringify(before.role)} already; allowed: one role`);
    }
    users.set(user.name, user);
  }
  return [...users.values()];
}

function yamlOf(text: string, file: string): YamlDocument {
  try {
    return parseYaml(text, file, MAX_USERS_FILE_BYTES);
  } catch (thrown) {
    throw thrown instanceof YamlFileError ? new UsersFileError(`users file ${thrown.message}`, { cause: thrown }) : thrown;
  }
}
