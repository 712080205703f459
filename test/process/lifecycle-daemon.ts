/** A daemon with the behaviour in its first argument, for tests of the process lifecycle. */
import { ProgramError } from '../../src/shared/errors.ts';
import { superviseDaemons } from '../../src/shared/process/lifecycle.ts';
import { createLogger } from '../../src/shared/process/log.ts';

class FixtureError extends ProgramError {
  readonly code = 'FIXTURE';
  readonly retriable = false;
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

const behaviours: Readonly<Record<string, (signal: AbortSignal) => Promise<void>>> = {
  stops: aborted,
  'stops with the reason': async (signal) => {
    await aborted(signal);
    throw signal.reason;
  },
  'fails to stop': async (signal) => {
    await aborted(signal);
    throw new FixtureError('the lease could not be released');
  },
  'ignores the signal': () => new Promise(() => undefined),
  ends: () => Promise.resolve(),
  fails: () => Promise.reject(new FixtureError('flag --health-port: the port is in use')),
  breaks: () => Promise.reject(new TypeError('undefined is not a function')),
  'throws elsewhere': async (signal) => {
    setImmediate(() => {
      throw new Error('uncaught on purpose');
    });
    await aborted(signal);
  },
  'rejects elsewhere': async (signal) => {
    void Promise.reject(new Error('not awaited on purpose'));
    await aborted(signal);
  },
};

const [behaviour = '', shutdownTimeoutMs] = process.argv.slice(2);
const daemon = behaviours[behaviour];
if (daemon === undefined) throw new Error(`no such behaviour: ${behaviour}`);
const log = createLogger({ debug: false, base: {} });
const keepAlive = setInterval(() => undefined, 60_000);
const run = (signal: AbortSignal) => {
  log.info('up');
  return daemon(signal);
};
const status = await superviseDaemons({ log, shutdownTimeoutMs: Number(shutdownTimeoutMs) }, [{ log, run }]);
clearInterval(keepAlive);
process.exit(status);
