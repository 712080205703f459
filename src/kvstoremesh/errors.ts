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

/** Keys of a remote are listed again because a value is needed that was not kept; not a failure. */
export class RelistError extends ProgramError {
  readonly code = 'RELIST';
  readonly retriable = true;

  constructor() {
    super('the keys are listed again');
  }
}

/** The import policy of the remote has changed; not a failure. */
export class PolicyChangedError extends ProgramError {
  readonly code = 'POLICY_CHANGED';
  readonly retriable = true;

  constructor() {
    super('the import policy changed');
  }
}

/** The configuration of the remote has changed; not a failure. */
export class ReconfiguredError extends ProgramError {
  readonly code = 'RECONFIGURED';
  readonly retriable = true;

  constructor() {
    super('the configuration of the remote cluster changed');
  }
}
