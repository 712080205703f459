/** Targets that are fatal to the process that fuzzes them, at an input that has a certain letter. */
import type { Target } from './targets.ts';

const fatal = (name: string, end: () => void): Target => ({
  name,
  words: ['x'],
  load: async () => (input) => {
    if (input.includes('x')) end();
  },
});

export const TARGETS: readonly Target[] = [
  fatal('memory', () => {
    const all: string[][] = [];
    for (;;) all.push(Array.from({ length: 1_000_000 }, (_, index) => `${index}`));
  }),
  fatal('abort', () => process.abort()),
  fatal('hang', () => {
    for (;;);
  }),
  fatal('error', () => {
    throw new TypeError('not expected');
  }),
];
