/** Rows about many remote clusters: light etcds stand in for theirs. */
import type { Row } from '../frame/row.ts';
import { manyRemotes, oneRemote } from './remotes.ts';

const SIZE = { clusters: 511, keys: 2_000, lost: 50, idleSeconds: 30 };

export const LIGHT_ROWS: readonly Row[] = [
  {
    name: 'remotes',
    measures:
      '511 remote clusters of 2,000 keys: first load compared with one cluster of as many keys, idle, reports, 50 lost and back',
    isExtra: true,
    // The status that is waited for is that of this project.
    accepts: ({ kind }) => kind !== 'peer',
    run: async ({ subject: { binary, flags } }) => {
      const options = { ...SIZE, binary, flags };
      return manyRemotes(options, await oneRemote(options));
    },
  },
];
