/** Errors of the initialization of an etcd, each with its own exit status. */
import { ProgramError } from '../shared/errors.ts';

export abstract class EtcdinitError extends ProgramError {
  /** A second run may succeed: it starts with an empty directory. */
  readonly retriable = true;
  /** The exit status of the process. */
  abstract readonly status: number;
}

export class DataDirectoryError extends EtcdinitError {
  readonly code = 'ETCDINIT_DATA_DIRECTORY';
  readonly status = 2;
  constructor(path: string, problem: string) {
    super(`flag --etcd-data-dir: ${JSON.stringify(path)} ${problem}`);
  }
}

/** There is no etcd that could be started. */
export class EtcdStartError extends EtcdinitError {
  readonly code = 'ETCDINIT_START';
  readonly status = 3;
  constructor(detail: string) {
    super(`etcd cannot be started (${detail}): put its binary into the PATH, or at /usr/bin/etcd`);
  }
}

/** etcd exited unexpectedly. */
export class EtcdEndedError extends EtcdinitError {
  readonly code = 'ETCDINIT_ENDED';
  readonly status = 4;
  constructor(how: string, step: string, lastWords: string) {
    super(`etcd exited (${how}) during this step: ${step}; last output: ${lastWords || '(none)'}`);
  }
}

export class EtcdinitTimeoutError extends EtcdinitError {
  readonly code = 'ETCDINIT_TIMEOUT';
  readonly status = 5;
  constructor(timeout: string, step: string, lastProblem: string) {
    const problem = lastProblem === '' ? '' : ` (${lastProblem})`;
    super(`not done within ${timeout}, current step: ${step}${problem}; raise --timeout, or find out what is slow`);
  }
}

/** etcd refused a user or a role. */
export class EtcdRefusedError extends EtcdinitError {
  readonly code = 'ETCDINIT_REFUSED';
  readonly status = 6;
  constructor(step: string, cause: Error) {
    super(`etcd rejected this step: ${step}: ${cause.message}`, { cause });
  }
}

/** etcd was initialized, but did not stop cleanly: some data may be missing. */
export class EtcdStopError extends EtcdinitError {
  readonly code = 'ETCDINIT_STOP';
  readonly status = 7;
  constructor(detail: string) {
    super(`etcd was initialized but did not stop cleanly (${detail}): do not use its data directory, initialize it again`);
  }
}

/** The state of the other members does not allow this one to join or to begin. */
export class EtcdMembersError extends EtcdinitError {
  readonly code = 'ETCDINIT_MEMBERS';
  readonly status = 8;
  constructor(timeout: string, problem: string) {
    super(`this member of etcd was not set up within ${timeout}: ${problem}`);
  }
}

/** The port for connections between members is not free. */
export class PeerPortError extends EtcdinitError {
  readonly code = 'ETCDINIT_PEER_PORT';
  readonly status = 3;
  constructor(port: number, detail: string) {
    super(`cannot listen on the peer port ${port} (${detail}): stop the process that uses it, or set another port`);
  }
}
