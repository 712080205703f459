/** What goes wrong between this cluster and a remote one. */
import { ProgramError } from '../shared/errors.ts';

/** Another store answers than the one that was listed: its revisions mean something else. */
export class SourceReplacedError extends ProgramError {
  readonly code = 'SOURCE_REPLACED';
  readonly retriable = true;

  constructor(reason: string) {
    super(`the etcd of the remote was replaced (${reason}); reconnecting`);
  }
}

/** The remote was silent for longer than a working connection can be. */
export class ConnectionLostError extends ProgramError {
  readonly code = 'CONNECTION_LOST';
  readonly retriable = true;
}

/** The configuration of the remote has changed; not a failure. */
export class ReconfiguredError extends ProgramError {
  readonly code = 'RECONFIGURED';
  readonly retriable = true;

  constructor() {
    super('the configuration of the remote cluster changed');
  }
}
