/**
 * An etcd server of a test, a process or a container: how it is asked for, what can be done to it, and its flags.
 */
export interface EtcdBinary {
  readonly path: string;
  /** `3.4.23` */
  readonly version: string;
  /** `3.4` */
  readonly minor: string;
}

export interface EtcdTls {
  readonly certFile: string;
  readonly keyFile: string;
  /** Clients must show a certificate of this authority. */
  readonly clientCaFile?: string;
}

export interface EtcdOptions {
  /** A version found by `etcdVersions`, whole or minor; the first one found otherwise. */
  readonly version?: string;
  /** Kept on stop when given; otherwise a temporary one is made and removed. */
  readonly dataDir?: string;
  /** Further flags, such as `--quota-backend-bytes=16777216`. */
  readonly args?: readonly string[];
  readonly tls?: EtcdTls;
  /** The cluster ID follows from it. By default every process has its own. */
  readonly clusterToken?: string;
  /** By default it is the only member of its cluster. */
  readonly member?: EtcdMember;
}

/** A member of a cluster of several, all of which are known before the first one starts. */
export interface EtcdMember {
  readonly name: string;
  readonly peerListenUrl: string;
  /** The URLs at which the members reach each other, by name. */
  readonly peers: Readonly<Record<string, string>>;
}

export interface RestartOptions {
  /** Begins with an empty store, of the same cluster ID unless `clusterToken` is given. */
  readonly wipe?: boolean;
  readonly clusterToken?: string;
}

export interface EtcdProcess extends AsyncDisposable {
  readonly binary: EtcdBinary;
  /** `http://127.0.0.1:port`, or `https://…` with TLS. */
  readonly endpoint: string;
  readonly port: number;
  /** Plain HTTP, also with TLS: `/health` and `/metrics`. */
  readonly metricsEndpoint: string;
  readonly dataDir: string;
  readonly pid: number;
  /** The last lines the server wrote. */
  readonly output: string;
  /** Ends the server and removes a temporary data directory. Idempotent. */
  stop(): Promise<void>;
  /** SIGKILL; the data stays for `restart`. */
  kill(): Promise<void>;
  /** SIGSTOP: the server neither answers nor closes connections. */
  pause(): void;
  resume(): void;
  /** Starts the server on the same port once more, killing it first where it runs. */
  restart(options?: RestartOptions): Promise<void>;
}

/** The arguments of a server, for processes and containers. */
export interface EtcdFlags {
  readonly minor: string;
  readonly dataDir: string;
  readonly clusterToken: string;
  readonly listenUrl: string;
  /** Where clients reach it. */
  readonly advertisedUrl: string;
  readonly metricsUrl: string;
  readonly tls: EtcdTls | undefined;
  readonly args: readonly string[] | undefined;
  readonly member?: EtcdMember | undefined;
}

/** The only member needs no known peer port; the cluster ID follows from token and peer URLs. */
const ALONE: EtcdMember = {
  name: 'default',
  peerListenUrl: 'http://127.0.0.1:0',
  peers: { default: 'http://127.0.0.1:0' },
};

export function etcdFlags({ minor, dataDir, clusterToken, tls, args = [], member = ALONE, ...urls }: EtcdFlags): string[] {
  const { name, peerListenUrl, peers } = member;
  return [
    `--data-dir=${dataDir}`,
    `--listen-client-urls=${urls.listenUrl}`,
    `--advertise-client-urls=${urls.advertisedUrl}`,
    `--name=${name}`,
    `--listen-peer-urls=${peerListenUrl}`,
    `--initial-advertise-peer-urls=${peers[name]}`,
    `--initial-cluster=${Object.entries(peers)
      .map((peer) => peer.join('='))
      .join()}`,
    `--initial-cluster-token=${clusterToken}`,
    `--listen-metrics-urls=${urls.metricsUrl}`,
    '--heartbeat-interval=10',
    '--election-timeout=100',
    '--logger=zap',
    '--log-level=warn',
    ...(minor === '3.4' ? [] : ['--unsafe-no-fsync']),
    ...(tls === undefined ? [] : [`--cert-file=${tls.certFile}`, `--key-file=${tls.keyFile}`]),
    ...(tls?.clientCaFile === undefined ? [] : [`--trusted-ca-file=${tls.clientCaFile}`, '--client-cert-auth']),
    ...args,
  ];
}
