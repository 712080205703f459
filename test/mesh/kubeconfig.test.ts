import { writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { expect, test } from 'vitest';
import { findContext } from '../../src/mesh/kubeconfig.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('contexts');

function written(file: string, contexts: readonly string[], current: string): string {
  const path = join(directory, file);
  const all = contexts.map((name) => ({ name, context: { cluster: name, user: name } }));
  writeFileSync(path, JSON.stringify({ contexts: all, 'current-context': current }));
  return path;
}

test('a context is found in any file of KUBECONFIG, and the current one in the first that sets it', async () => {
  const first = written('first', ['east'], '');
  const second = written('second', ['west', 'north'], 'north');
  const environment = { KUBECONFIG: [join(directory, 'none'), first, second].join(delimiter) };
  expect(await findContext('', 'east', environment)).toEqual({ path: first, context: 'east' });
  expect(await findContext('', 'west', environment)).toEqual({ path: second, context: 'west' });
  expect(await findContext('', '', environment)).toEqual({ path: second, context: 'north' });
  expect(await findContext(first, 'east', environment)).toEqual({ path: first, context: 'east' });
  await expect(findContext('', 'south', environment)).rejects.toThrow('there is no context "south"; contexts: east, west, north');
  await expect(findContext(first, '', environment)).rejects.toThrow('no current context is set; contexts: east');
  await expect(findContext('', '', { HOME: directory })).rejects.toThrow(
    'there is no kubeconfig; set --kubeconfig or $KUBECONFIG',
  );
});
