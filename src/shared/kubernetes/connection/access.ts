/**
 * Server, credentials, trust and proxy for an API server, from any source.
 */

/** TLS material, PEM; replaced as a whole when any of it changes. */
export interface TlsMaterial {
  /** The system's authorities where absent. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** In place of the server's own name. */
  readonly servername: string | undefined;
  readonly skipVerify: boolean;
}

export interface Access {
  /** Headers of each request, the authorization among them. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly tls: TlsMaterial;
}

export interface Credentials {
  /** The server that the credentials were given for; absent where there are none. */
  readonly server?: URL;
  /** The proxy to any server, instead of those in the environment. */
  readonly proxy?: URL | undefined;
  /** What holds now: files are read each time, as they rotate. Throws KubeCredentialsError. */
  access(): Promise<Access>;
  /** Drops every cached token, after a server rejected one. Throws KubeConfigError, and then keeps the previous credentials. */
  reload(): Promise<void>;
}

const NO_TLS_MATERIAL: TlsMaterial = {
  ca: undefined,
  cert: undefined,
  key: undefined,
  servername: undefined,
  skipVerify: false,
};

/** No credentials: a plain http server, as `kubectl proxy` is one. */
export const ANONYMOUS: Credentials = {
  access: async () => ({ headers: {}, tls: NO_TLS_MATERIAL }),
  reload: async () => undefined,
};
