/** Loaded before the program: a signal makes it collect garbage and report its memory in use. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

process.on('SIGUSR2', () => {
  collectGarbage();
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  process.stderr.write(`${JSON.stringify({ level: 'info', msg: 'memory', usedBytes: heapUsed + arrayBuffers, rss })}\n`);
});
