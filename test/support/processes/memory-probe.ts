/** Loaded before the program: a signal makes it collect garbage and report its memory in use. */
import { collectGarbage } from '../../../src/shared/process/garbage.ts';

process.on('SIGUSR2', () => {
  collectGarbage();
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  process.stderr.write(`${JSON.stringify({ level: 'info', msg: 'memory', usedBytes: heapUsed + arrayBuffers, rss })}\n`);
});
