/**
 * What it takes to be let in by an API server, wherever it comes from.
 */

/** TLS material; replaced as a whole when any of it changes. */
export interface TlsMaterial {
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | string | undefined;
  readonly key: Buffer | string | undefined;
  readonly servername: string | undefined;
  readonly rejectUnauthorized: boolean;
}

export interface Access {
  /** Headers of each request, the authorization among them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
}

export interface Credentials {
  /** The server that the credentials were given for; absent where there are none. */
  readonly server?: URL;
  /** What holds now: files are read anew as they rotate. Throws KubeCredentialsError. */
  access(): Promise<Access>;
  /** Forgets every cached token, after a server refused one. Throws KubeConfigError, and keeps what it had. */
  reload(): Promise<void>;
}

/** No credentials: a plain http server, as `kubectl proxy` is one. */
export const ANONYMOUS: Credentials = {
  access: async () => ({
    headers: {},
    tls: { ca: undefined, cert: undefined, key: undefined, servername: undefined, rejectUnauthorized: true },
  }),
  reload: async () => undefined,
};
