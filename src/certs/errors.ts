/** Why certificates cannot be issued or written, one class per cause. What the API server refuses is a KubeError. */
import { ProgramError } from '../shared/errors.ts';

/** The CA Secret is missing, or its content cannot be used to sign. */
export class CaSecretError extends ProgramError {
  readonly code = 'CERTS_CA';
  readonly retriable = false;
}

/** Secrets that need a change but are managed by another program. */
export class ForeignSecretError extends ProgramError {
  readonly code = 'CERTS_FOREIGN_SECRET';
  readonly retriable = false;
}

/** A rotation step that is called out of order, or before its preconditions hold. */
export class RotationStepError extends ProgramError {
  readonly code = 'CERTS_ROTATION_STEP';
  readonly retriable = false;
}

/** Another writer changed a Secret between each read and write. */
export class SecretContentionError extends ProgramError {
  readonly code = 'CERTS_CONTENTION';
  readonly retriable = true;
}
