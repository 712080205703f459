/** Why certificates cannot be made, one class per cause. What the API server refuses is a KubeError. */
import { ProgramError } from '../shared/errors.ts';

/** The Secret of the CA is missing, or nothing can be signed with what it holds. */
export class CaSecretError extends ProgramError {
  readonly code = 'CERTS_CA';
  readonly retriable = false;
}

/** Secrets that need a change, and that are not this program's to change. */
export class ForeignSecretError extends ProgramError {
  readonly code = 'CERTS_FOREIGN_SECRET';
  readonly retriable = false;
}

/** A step of the rotation whose turn it is not. */
export class RotationStepError extends ProgramError {
  readonly code = 'CERTS_ROTATION_STEP';
  readonly retriable = false;
}

/** Other writers changed a Secret each time before it could be written. */
export class SecretContentionError extends ProgramError {
  readonly code = 'CERTS_CONTENTION';
  readonly retriable = true;
}

/** A Secret that cannot be created, because its namespace does not exist. */
export class NamespaceMissingError extends ProgramError {
  readonly code = 'CERTS_NAMESPACE';
  readonly retriable = false;
}
