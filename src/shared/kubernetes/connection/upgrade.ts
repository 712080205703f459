/** A request for another protocol on its connection (RFC 9110, section 7.8), by an undici dispatcher. */
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { asError } from '../../errors.ts';
import { onAbort } from '../../time/abort.ts';
import { MAX_KUBE_ENVELOPE_BYTES } from '../limits.ts';

export interface UpgradeRequest {
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly protocol: string;
}

/** The connection, or why the server refused: a status with the beginning of the body. */
export interface Upgraded {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly socket: Duplex | undefined;
  readonly text: string;
}

/** `signal` counts until it settles; then it is up to the caller to close the socket. */
export function upgrade(dispatcher: Dispatcher, request: UpgradeRequest, signal: AbortSignal): Promise<Upgraded> {
  const { origin, path, headers, protocol } = request;
  const { promise, resolve, reject } = Promise.withResolvers<Upgraded>();
  const body: Buffer[] = [];
  let sizeBytes = 0;
  let refusal: Omit<Upgraded, 'socket' | 'text'> = { status: 0, headers: {} };
  let unlink: () => void = () => undefined;
  dispatcher.dispatch(
    { origin, path, method: 'GET', headers, upgrade: protocol },
    {
      onRequestStart(controller) {
        unlink();
        unlink = onAbort(signal, () => controller.abort(asError(signal.reason)));
      },
      onRequestUpgrade(_, status, answered, socket) {
        unlink();
        resolve({ status, headers: answered, socket, text: '' });
      },
      onResponseStart(_, status, answered) {
        refusal = { status, headers: answered };
      },
      onResponseData(controller, chunk) {
        if (sizeBytes < MAX_KUBE_ENVELOPE_BYTES) body.push(chunk);
        sizeBytes += chunk.length;
        if (sizeBytes >= MAX_KUBE_ENVELOPE_BYTES) controller.abort(new Error('the response is too long'));
      },
      onResponseEnd() {
        unlink();
        resolve({ ...refusal, socket: undefined, text: Buffer.concat(body).toString() });
      },
      onResponseError(_, error) {
        unlink();
        reject(error);
      },
    },
  );
  return promise;
}
