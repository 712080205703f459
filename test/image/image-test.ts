/** Tests of a file on the image, with one engine for all of them. */
import { afterAll, beforeAll, test } from 'vitest';
import { engineOrReason, type ImageEngine } from '../support/containers/image-engine.ts';

export const RESTRICTED = ['--network=none', '--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges'];

/** The engine, and the directory with what is in the image; for tests that are defined with `imageTest`. */
export let engine: ImageEngine;
export let root: string;
let reason: string | undefined;

beforeAll(async () => {
  const found = await engineOrReason();
  reason = found.reason;
  if (found.engine === undefined) return;
  engine = found.engine;
  root = await engine.root();
}, 600_000);

afterAll(() => engine?.[Symbol.asyncDispose]());

/** Skipped, with the reason, where there can be no engine. */
export const imageTest = (name: string, run: () => Promise<void> | void) =>
  test(name, async (context) => {
    context.skip(reason !== undefined, reason);
    await run();
  });
