/**
 * The token of a client that authenticates by name and password, or by a configured token: sent with each call and stream.
 *
 * A token is requested before the first call, before it expires, and after etcd rejected it: etcd drops tokens on a restart, and
 * JWTs on each change of users. A stream keeps the token it was opened with, which etcd accepts.
 */
import { asError } from '../../errors.ts';
import { AUTH_RETRY_MS, AUTH_TOKEN_RENEWAL_MS } from '../../limits.ts';
import { unlessAborted } from '../../time/abort.ts';
import type { Clock } from '../../time/clock.ts';
import type { EtcdLogin } from '../config.ts';
import { AuthNotEnabledError, ClosedError, MalformedResponseError } from '../errors.ts';
import type { CallHeaders } from '../wire/grpc-session.ts';

export interface LoginOptions {
  /** Absent if the client uses only its certificate, or nothing. */
  readonly login: EtcdLogin | undefined;
  readonly clock: Clock;
  /** One attempt; resolves with a token. Rejects with an EtcdError. */
  readonly authenticate: (username: string, password: string) => Promise<string>;
}

/** Of the lifetime of a token, after which it is renewed. */
const RENEWAL_SHARE = 0.8;

export class Login {
  readonly #options: LoginOptions;
  #headers = headersOf('');
  /** When the token is to be renewed, on the monotonic clock; undefined where there is none. */
  #dueMs: number | undefined;
  #askedMs = Number.NEGATIVE_INFINITY;
  #failure: Error | undefined;
  #pending: Promise<void> | undefined;

  constructor(options: LoginOptions) {
    this.#options = options;
    if (options.login?.kind === 'token') this.#headers = headersOf(options.login.token);
  }

  /** What every call sends. */
  get headers(): CallHeaders {
    return this.#headers;
  }

  /** Resolves once there is a token, where one is needed. Rejects with an EtcdError, or with the signal's reason. */
  async ready(signal: AbortSignal): Promise<void> {
    const { login, clock } = this.#options;
    if (login?.kind !== 'password' || (this.#dueMs !== undefined && clock.monotonicMs() < this.#dueMs)) return;
    this.#pending ??= this.#renew(login.username, login.password).finally(() => {
      this.#pending = undefined;
    });
    await unlessAborted(this.#pending, signal);
  }

  /** etcd rejected the token: `ready` requests another one. False if the token is so new that another one would be rejected too. */
  refused(): boolean {
    const { login, clock } = this.#options;
    if (login?.kind !== 'password' || clock.monotonicMs() - this.#askedMs < AUTH_RETRY_MS) return false;
    this.#dueMs = undefined;
    return true;
  }

  async #renew(username: string, password: string): Promise<void> {
    const { clock, authenticate } = this.#options;
    const nowMs = clock.monotonicMs();
    // etcd spends a tenth of a second of computing on each password.
    if (this.#failure !== undefined && nowMs - this.#askedMs < AUTH_RETRY_MS) throw this.#failure;
    this.#askedMs = nowMs;
    try {
      const token = await authenticate(username, password);
      this.#headers = headersOf(token);
      this.#dueMs = nowMs + renewalMs(token, clock.nowMs());
      this.#failure = undefined;
    } catch (thrown) {
      if (thrown instanceof AuthNotEnabledError) {
        this.#headers = headersOf('');
        this.#dueMs = nowMs + AUTH_TOKEN_RENEWAL_MS;
      } else if (this.#dueMs !== undefined && !(thrown instanceof ClosedError)) {
        // The current token has not expired yet.
        this.#dueMs = nowMs + AUTH_RETRY_MS;
      } else {
        this.#failure = asError(thrown);
        throw thrown;
      }
    }
  }
}

/** etcd answers immediately, without a timeout, if a member has no leader. */
function headersOf(token: string): CallHeaders {
  if (token === '') return { hasleader: 'true' };
  if (!/^[!-~]+$/.test(token)) throw new MalformedResponseError('a token with characters that no header can have');
  return { hasleader: 'true', token };
}

/** A JWT contains its expiry; etcd's simple tokens expire five minutes after their last use, by default. */
function renewalMs(token: string, nowMs: number): number {
  const [, payload = ''] = token.split('.');
  try {
    const { exp }: { readonly exp?: unknown } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    const lifeMs = typeof exp === 'number' ? exp * 1_000 - nowMs : Number.NaN;
    if (lifeMs > 0) return Math.min(lifeMs * RENEWAL_SHARE, AUTH_TOKEN_RENEWAL_MS);
  } catch {
    // A simple token.
  }
  return AUTH_TOKEN_RENEWAL_MS;
}
