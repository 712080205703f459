/**
 * Calls and streams to whichever endpoint is in use, with everything that all of them need: deadline,
 * cancellation, the request limiter, typed errors, the cluster pin, and the state of the connection.
 */

import { asError, errorCode } from '../../errors.ts';
import { AUTH_REVISION_PAUSE_MS, ETCD_CALL_TIMEOUT_MS, MAX_AUTH_REVISION_ATTEMPTS } from '../../limits.ts';
import { unlessAborted, withDeadline } from '../../time/abort.ts';
import type { Backoff } from '../../time/backoff.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import { pauseUntilRecovered } from '../../time/recovery.ts';
import type { EtcdLogin } from '../config.ts';
import {
  AuthRevisionError,
  ClosedError,
  EtcdError,
  errorOfStatus,
  MalformedResponseError,
  PermissionDeniedError,
  ResponseTooLargeError,
  UnauthenticatedError,
} from '../errors.ts';
import { GRPC, GrpcStatusError } from '../grpc-status.ts';
import type { CallSubject, EtcdObserver } from '../observer.ts';
import type { Revision } from '../types.ts';
import { ClusterPin } from '../wire/cluster-pin.ts';
import type { ResponseHeader } from '../wire/codec.ts';
import type { CallHeaders, GrpcSession } from '../wire/grpc-session.ts';
import { MessageStream } from '../wire/message-stream.ts';
import { decodeToken, encodeTexts } from '../wire/messages.ts';
import { type Method, method as methodOf } from '../wire/methods.ts';
import { type UnaryCallOptions, unaryCall } from '../wire/unary-call.ts';
import type { EndpointChannel } from './channel.ts';
import type { ConnectionTracker } from './connection-tracker.ts';
import type { Endpoints } from './endpoints.ts';
import { Login } from './login.ts';

/** A request waits for its turn; the function it gets is to be called when it has been answered. */
export interface RequestGate {
  acquire(signal: AbortSignal): Promise<() => void>;
}

export interface TransportOptions {
  readonly endpoints: Endpoints;
  readonly tracker: ConnectionTracker;
  readonly clock: Clock;
  readonly gate: RequestGate | undefined;
  readonly maxMessageBytes: number;
  readonly observer: EtcdObserver | undefined;
  readonly login: EtcdLogin | undefined;
}

interface Invocation<T> {
  readonly method: Method;
  readonly request: Buffer;
  decode(answer: Buffer): T;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number | undefined;
  /** For the message of an error. */
  readonly revision?: Revision | undefined;
  /** The channel in use where absent. */
  readonly channel?: EndpointChannel | undefined;
}

export interface UnaryCall<T extends { readonly header: ResponseHeader }> extends Invocation<T> {
  /** The current one where absent. */
  readonly pin?: ClusterPin | undefined;
  readonly subject: CallSubject;
}

export interface OpenStream {
  readonly stream: MessageStream;
  readonly channel: EndpointChannel;
  readonly headers: CallHeaders;
  isClosed(): boolean;
  /** Cancels the stream. Idempotent. */
  close(): void;
}

const AUTHENTICATE = methodOf('Auth', 'Authenticate');
/** Sent by a client that has no token yet. */
const ANONYMOUS: CallHeaders = {};

export class Transport {
  readonly #options: TransportOptions;
  readonly #cancels = new Set<() => void>();
  readonly #login: Login;
  #pin = new ClusterPin();
  #isClosed = false;

  constructor(options: TransportOptions) {
    this.#options = options;
    const { login, clock } = options;
    this.#login = new Login({ login, clock, authenticate: (username, password) => this.#authenticate(username, password) });
  }

  get pin(): ClusterPin {
    return this.#pin;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Bytes of a message at most. */
  get maxMessageBytes(): number {
    return this.#options.maxMessageBytes;
  }

  /** Later responses are checked against a new pin; users of the old one keep it. */
  forgetCluster(): void {
    this.#pin = new ClusterPin();
    this.#options.endpoints.wake();
  }

  close(): void {
    this.#isClosed = true;
    for (const cancel of [...this.#cancels]) cancel();
    this.#options.endpoints.wake();
    this.#options.endpoints.close();
  }

  /** One attempt, as far as etcd carries it out. Rejects with an EtcdError, or with the signal's reason. */
  async call<T extends { readonly header: ResponseHeader }>(call: UnaryCall<T>): Promise<T> {
    const { signal, pin = this.#pin, subject } = call;
    const { gate, clock, observer } = this.#options;
    signal.throwIfAborted();
    const askedMs = clock.monotonicMs();
    const release = await gate?.acquire(signal);
    const startMs = clock.monotonicMs();
    const end = observer?.begin(subject);
    let code = 'OK';
    try {
      const answer = await this.#invokePastUserChanges(call);
      this.contact(pin, answer.header);
      return answer;
    } catch (thrown) {
      code = errorCode(thrown);
      throw thrown;
    } finally {
      release?.();
      const seconds = (clock.monotonicMs() - startMs) / 1000;
      end?.(signal.aborted ? undefined : { code, seconds, waitSeconds: (startMs - askedMs) / 1000 });
    }
  }

  /** Opens a stream to the channel in use, after `ready`. `onRetire` is called when it shall move to another channel. Throws ClosedError. */
  open(method: Method, onRetire: () => void): OpenStream {
    if (this.#isClosed) throw new ClosedError();
    const { channel } = this.#options.endpoints;
    const { headers } = this.#login;
    const stream = new MessageStream({
      session: sessionOf(channel),
      path: method.path,
      headers,
      maxMessageBytes: this.maxMessageBytes,
      onSettled: (bytes) => channel.settle(bytes),
    });
    const leave = channel.use(onRetire);
    const cancel = () => stream.cancel();
    this.#cancels.add(cancel);
    let isClosed = false;
    return {
      stream,
      channel,
      headers,
      isClosed: () => isClosed,
      close: () => {
        isClosed = true;
        this.#cancels.delete(cancel);
        cancel();
        leave();
      },
    };
  }

  /** A stream that was opened now would be to the same endpoint and with the same token. */
  isCurrent({ channel, headers }: OpenStream): boolean {
    return channel === this.#options.endpoints.channel && headers === this.#login.headers;
  }

  /** The typed error for a rejection of a stream's `next`. */
  streamError(thrown: unknown, method: Method, channel: EndpointChannel | undefined, revision?: Revision): Error {
    if (this.#isClosed) return new ClosedError();
    if (channel?.refusal !== undefined) return channel.refusal;
    return thrown instanceof GrpcStatusError
      ? errorOfStatus(thrown, contextOf(method, ETCD_CALL_TIMEOUT_MS, revision))
      : asError(thrown);
  }

  /** A response or stream message arrived. Throws ClusterChangedError if its cluster ID differs from `pin`. */
  contact(pin: ClusterPin, { clusterId }: ResponseHeader): void {
    try {
      pin.check(clusterId);
    } catch (thrown) {
      if (pin === this.#pin) this.#options.tracker.failed(asError(thrown));
      throw thrown;
    }
    this.#options.tracker.contact(clusterId);
  }

  /** A request or stream of `channel` failed: another endpoint may be in use from now on. */
  failed(channel: EndpointChannel, error: EtcdError): void {
    if (this.#isClosed) return;
    if (error instanceof AuthRevisionError) return;
    if (!error.concernsConnection) {
      this.#options.tracker.refused(error);
      return;
    }
    this.#options.tracker.failed(error);
    this.#options.endpoints.failed(channel, error);
  }

  /** A stream was rejected: older versions of etcd deny a watch whose token they have dropped. */
  streamRefused(error: EtcdError): void {
    if (error instanceof UnauthenticatedError || error instanceof PermissionDeniedError) this.#login.refused();
  }

  /** See EtcdClient. */
  onRecovered(listener: () => void): () => void {
    return this.#options.endpoints.onRecovered(listener);
  }

  /**
   * Waits before another attempt, shorter if a lost connection returns: this resets the back-off. Rejects with the
   * signal's reason.
   */
  async pause(backoff: Backoff, signal: AbortSignal): Promise<void> {
    if (this.#isClosed) return;
    if (await pauseUntilRecovered(this, backoff.nextMs(), this.#options.clock, signal)) backoff.reset();
  }

  /**
   * Resolves once a stream can be opened. Rejects with CredentialsError while the TLS files are invalid, with another
   * EtcdError if etcd issues no token for the password, or with the signal's reason.
   */
  async ready(signal: AbortSignal): Promise<void> {
    await this.#connectable();
    await this.#login.ready(signal);
  }

  async #connectable(): Promise<void> {
    try {
      await this.#options.endpoints.ready();
    } catch (thrown) {
      this.#options.tracker.failed(asError(thrown));
      throw thrown;
    }
  }

  /**
   * After each change of users etcd rejects all requests in flight before it applies them: they are retried,
   * so that a change of one user does not fail the requests of others. Changes come in groups, hence
   * an increasing pause.
   */
  async #invokePastUserChanges<T>(call: Invocation<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#invoke(call);
      } catch (thrown) {
        const isRetried =
          thrown instanceof AuthRevisionError || (thrown instanceof UnauthenticatedError && this.#login.refused());
        if (!isRetried || attempt === MAX_AUTH_REVISION_ATTEMPTS) throw thrown;
        // A JWT is worth nothing after a change of users.
        if (thrown instanceof AuthRevisionError) this.#login.refused();
      }
      const pauseMs = Math.min(AUTH_REVISION_PAUSE_MS, 2 ** attempt) * Math.random();
      await this.#options.clock.sleep(pauseMs, call.signal);
    }
  }

  async #authenticate(name: string, password: string): Promise<string> {
    const request = encodeTexts({ 1: name, 2: password });
    const { signal } = new AbortController();
    return this.#exchange({ method: AUTHENTICATE, request, decode: decodeToken, signal }, ANONYMOUS);
  }

  async #invoke<T>(call: Invocation<T>): Promise<T> {
    await this.#login.ready(call.signal);
    return this.#exchange(call, this.#login.headers);
  }

  async #exchange<T>(
    { method, request, decode, signal, timeoutMs = ETCD_CALL_TIMEOUT_MS, revision, channel: given }: Invocation<T>,
    headers: CallHeaders,
  ): Promise<T> {
    if (this.#isClosed) throw new ClosedError();
    signal.throwIfAborted();
    await this.#connectable();
    if (this.#isClosed) throw new ClosedError();
    signal.throwIfAborted();
    const channel = given ?? this.#options.endpoints.channel;
    const leave = channel.use();
    try {
      const answer = await this.#send(channel, { path: method.path, headers, request, timeoutMs }, signal);
      channel.settle(answer.length);
      if (answer.length > (method.maxAnswerBytes ?? Number.POSITIVE_INFINITY))
        throw new ResponseTooLargeError(`${answer.length} bytes to ${method.name}`);
      return decoded(decode, answer);
    } catch (thrown) {
      signal.throwIfAborted();
      if (this.#isClosed) throw new ClosedError();
      const error =
        thrown instanceof GrpcStatusError
          ? (channel.refusal ?? errorOfStatus(thrown, contextOf(method, timeoutMs, revision)))
          : thrown;
      if (error instanceof EtcdError) this.failed(channel, error);
      throw error;
    } finally {
      leave();
    }
  }

  async #send(channel: EndpointChannel, call: Omit<UnaryCallOptions, 'maxMessageBytes'>, signal: AbortSignal): Promise<Buffer> {
    const { maxMessageBytes } = this;
    const session = channel.session();
    if (!(session instanceof Promise)) return this.#sendOver(session, { ...call, maxMessageBytes }, signal);
    // The time to connect is part of the deadline.
    const { timeoutMs } = call;
    const startMs = performance.now();
    const made = await withDeadline((limit) => unlessAborted(session, limit), {
      ms: timeoutMs,
      late: () => new GrpcStatusError(GRPC.DEADLINE_EXCEEDED, `no connection within ${timeoutMs} ms`),
      clock: systemClock,
      signal,
    });
    const leftMs = Math.max(1, timeoutMs - (performance.now() - startMs));
    return this.#sendOver(made, { ...call, timeoutMs: leftMs, maxMessageBytes }, signal);
  }

  #sendOver(session: GrpcSession, call: UnaryCallOptions, signal: AbortSignal): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        signal.removeEventListener('abort', onCancel);
        this.#cancels.delete(onCancel);
      };
      const onCancel = () => {
        leave();
        cancel();
        reject(new GrpcStatusError(GRPC.CANCELLED, 'the call was cancelled'));
      };
      const cancel = unaryCall(session, call, (error, answer) => {
        leave();
        if (error === undefined) resolve(answer);
        else reject(error);
      });
      signal.addEventListener('abort', onCancel, { once: true });
      this.#cancels.add(onCancel);
    });
  }
}

/** A stream reports at its first message that there is no connection. */
function sessionOf(channel: EndpointChannel): GrpcSession | Promise<GrpcSession> {
  try {
    return channel.session();
  } catch (thrown) {
    return Promise.reject(asError(thrown));
  }
}

function decoded<T>(decode: (answer: Buffer) => T, answer: Buffer): T {
  try {
    return decode(answer);
  } catch (thrown) {
    // A decoder may meet a mistake of ours: it must not end the daemon.
    throw thrown instanceof EtcdError ? thrown : new MalformedResponseError(asError(thrown).message);
  }
}

function contextOf(method: Method, timeoutMs: number, revision: Revision | undefined) {
  return { what: method.name, timeoutMs, ...(revision === undefined ? {} : { revision }) };
}
