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

/** RBAC does not allow to run commands in Pods or to connect to their ports. */
export class PodForbiddenError extends ProgramError {
  readonly code = 'MESH_POD_FORBIDDEN';
  readonly retriable = false;
}

/** The Pod does not exist, or no longer. */
export class PodMissingError extends ProgramError {
  readonly code = 'MESH_POD_MISSING';
  readonly retriable = true;
}

/** The Pod has no such container, or it is not running. */
export class ContainerNotRunningError extends ProgramError {
  readonly code = 'MESH_CONTAINER_NOT_RUNNING';
  readonly retriable = true;
}

/** The container has no such program: its image is another one, or an older one. */
export class PodCommandError extends ProgramError {
  readonly code = 'MESH_POD_COMMAND';
  readonly retriable = false;
}

/** A command in a Pod took too long. */
export class PodTimeoutError extends ProgramError {
  readonly code = 'MESH_POD_TIMEOUT';
  readonly retriable = true;
}

/** A command in a Pod printed more than its caller takes. */
export class PodOutputError extends ProgramError {
  readonly code = 'MESH_POD_OUTPUT';
  readonly retriable = false;
}

/** A command in a Pod ended without an exit status, or a port of it refused a connection. */
export class PodStreamError extends ProgramError {
  readonly code = 'MESH_POD_STREAM';
  readonly retriable = true;
}
