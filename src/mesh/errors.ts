/** Why clusters cannot be connected, disconnected or shown, one class per cause. */
import { ProgramError } from '../shared/errors.ts';

/** A cluster cannot be read: its API server does not answer, or refuses the request. */
export class ClusterAccessError extends ProgramError {
  readonly code = 'MESH_CLUSTER_ACCESS';
  readonly retriable = true;
}

/** An object of a cluster is missing or has content that cannot be used. */
export class ClusterContentError extends ProgramError {
  readonly code = 'MESH_CLUSTER_CONTENT';
  readonly retriable = false;
}

/** Another writer changed a Secret between each read and write. */
export class PeerSecretContentionError extends ProgramError {
  readonly code = 'MESH_CONTENTION';
  readonly retriable = true;
}
