/**
 * A real etcd of three members at first, each a process of its own, whose connections to each other can be cut.
 *
 * The members reach each other through proxies. A member sends over connections that it opened and over such that were opened
 * to it, but each of them carries a request that names the sender: so a proxy can tell between which two members it is.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { containersChosen } from '../containers/container-engine.ts';
import { freePort } from '../network/free-port.ts';
import { until } from '../until.ts';
import { callEtcd } from './etcd-gateway.ts';
import { type EtcdOptions, type EtcdProcess, etcdVersions, startEtcd } from './etcd-process.ts';

const NAMES = ['a', 'b', 'c'] as const;

/** A leader that is only slow on a busy machine is not replaced. */
const CALM = ['--heartbeat-interval=50', '--election-timeout=500'];

/** Why there can be no cluster of members here; undefined where there can. */
export function etcdClusterMissing(): string | undefined {
  if (containersChosen()) return 'needs etcd as a program';
  return etcdVersions().length === 0 ? 'needs an etcd' : undefined;
}

export class EtcdCluster implements AsyncDisposable {
  readonly #options: EtcdOptions;
  readonly #members: EtcdProcess[];
  readonly #proxies: PeerProxy[];

  private constructor(options: EtcdOptions, members: EtcdProcess[], proxies: PeerProxy[]) {
    this.#options = options;
    this.#members = members;
    this.#proxies = proxies;
  }

  /** All that were started, in that order: those that were removed, too. */
  get members(): readonly EtcdProcess[] {
    return this.#members;
  }

  static async start({ args = [], ...options }: Pick<EtcdOptions, 'version' | 'args'> = {}): Promise<EtcdCluster> {
    const ports = await Promise.all(NAMES.map(() => freePort()));
    const proxies = await Promise.all(ports.map((port) => PeerProxy.start(port)));
    const peers = Object.fromEntries(NAMES.map((name, index) => [name, peerUrl(proxies[index])]));
    const clusterToken = `test-cluster-${ports.join('-')}`;
    const shared = { ...options, clusterToken, args: [...CALM, ...args] };
    const members = await Promise.all(
      NAMES.map((name, index) => {
        const member = { name, peerListenUrl: `http://127.0.0.1:${ports[index]}`, peers };
        return startEtcd({ ...shared, member });
      }),
    );
    for (const [index, member] of members.entries())
      proxies[index]?.belongsTo(await until('the member names itself', () => memberId(member)));
    return new EtcdCluster(shared, members, proxies);
  }

  /** The member by its place: 0, 1 or 2, and more for those that were added. */
  member(index: number): EtcdProcess {
    return this.members[index] as EtcdProcess;
  }

  /** The place of the member that leads, as the member at `asked` knows it. */
  async leader(asked = 0): Promise<number> {
    const leads = async () => {
      const { leader } = await status(this.member(asked));
      return this.#proxies.findIndex(({ id }) => id !== undefined && id === leader) + 1;
    };
    return (await until('the etcd has a leader', leads)) - 1;
  }

  /** Makes the member lead, and resolves when it does. */
  async moveLeader(to: number): Promise<void> {
    const target = this.#proxies[to]?.id ?? 0n;
    const moved = async () => {
      const from = await this.leader(to);
      if (from === to) return true;
      await callEtcd(this.member(from).endpoint, 'maintenance/transfer-leadership', { targetID: String(target) });
      return false;
    };
    await until(`member ${to} leads`, moved);
  }

  /** Adds a member with a vote, and resolves when it serves; `asked` is a member that is in the quorum. */
  async add(asked: number): Promise<EtcdProcess> {
    const { endpoint } = this.member(asked);
    const port = await freePort();
    const proxy = await PeerProxy.start(port);
    const url = peerUrl(proxy);
    // An answer that was lost is found in the list. The members elect a leader after each change, and reject others until then.
    const isListed = async () => {
      if ((await listed(endpoint)).some(({ peerURLs }) => peerURLs.includes(url))) return true;
      await callEtcd(endpoint, 'cluster/member/add', { peerURLs: [url] });
      return false;
    };
    await until('the member is added', isListed);
    const name = `added-${this.#members.length}`;
    const all = await until('the members are listed', () => listed(endpoint));
    const peers = Object.fromEntries(all.map((each) => [each.name ?? name, each.peerURLs[0] ?? '']));
    const member = { name, peerListenUrl: `http://127.0.0.1:${port}`, peers };
    const added = await startEtcd({
      ...this.#options,
      args: [...(this.#options.args ?? []), '--initial-cluster-state=existing'],
      member,
    });
    this.#members.push(added);
    this.#proxies.push(proxy);
    proxy.belongsTo(await until('the member names itself', () => memberId(added)));
    return added;
  }

  /** Removes the member for good, and resolves when it has ended; `asked` is another one that is in the quorum. */
  async remove(index: number, asked: number): Promise<void> {
    const { endpoint } = this.member(asked);
    const id = String(this.#proxies[index]?.id);
    const isGone = async () => {
      if ((await listed(endpoint)).every((each) => each.ID !== id)) return true;
      await callEtcd(endpoint, 'cluster/member/remove', { ID: id });
      return false;
    };
    await until('the member is removed', isGone);
    await this.member(index).kill();
  }

  /** SIGTERM, and waits for the end; the data stays for `restart`. */
  async terminate(index: number): Promise<void> {
    const { pid } = this.member(index);
    process.kill(pid, 'SIGTERM');
    await until('the member ends', () => hasEnded(pid));
  }

  /** Cuts the member off from the other two, in both directions; its clients still reach it. */
  isolate(index: number): void {
    const id = this.#proxies[index]?.id;
    for (const [at, proxy] of this.#proxies.entries()) proxy.isolate(at === index ? 'everyone' : id);
  }

  /** Ends the isolation. */
  heal(): void {
    for (const proxy of this.#proxies) proxy.isolate(undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#members.map((member) => member.stop()), ...this.#proxies.map((proxy) => proxy.stop())]);
  }
}

interface Listed {
  readonly ID: string;
  /** A member that has not started yet has none. */
  readonly name?: string;
  readonly peerURLs: readonly string[];
}

async function listed(endpoint: string): Promise<readonly Listed[]> {
  const { members } = (await callEtcd(endpoint, 'cluster/member/list', {})) as { readonly members: readonly Listed[] };
  return members;
}

function peerUrl(proxy: PeerProxy | undefined): string {
  return `http://127.0.0.1:${proxy?.port}`;
}

interface Status {
  readonly header: { readonly member_id: string };
  readonly leader?: string;
}

async function status(member: EtcdProcess): Promise<{ readonly id: bigint; readonly leader: bigint }> {
  const { header, leader = '0' } = (await callEtcd(member.endpoint, 'maintenance/status', {})) as Status;
  return { id: BigInt(header.member_id), leader: BigInt(leader) };
}

function hasEnded(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

async function memberId(member: EtcdProcess): Promise<bigint> {
  return (await status(member)).id;
}

/** The ID of the member that sends a request; undefined where it does not say. */
function senderOf(request: Buffer): bigint | undefined {
  const id = /^x-server-from: ([0-9a-f]+)\r$/im.exec(request.toString('latin1'))?.[1];
  return id === undefined ? undefined : BigInt(`0x${id}`);
}

/** A connection whose sender is not known until a request that names it has arrived. */
interface Link {
  readonly client: Socket;
  readonly server: Socket;
  from: bigint | undefined;
}

/** What the other members find at the peer URL of a member. */
class PeerProxy {
  readonly #listener: Server;
  readonly #links = new Set<Link>();
  #id: bigint | undefined;
  #cut: bigint | 'everyone' | undefined;

  private constructor(target: number) {
    this.#listener = createServer((client) => this.#accept(client, target));
  }

  static async start(target: number): Promise<PeerProxy> {
    const proxy = new PeerProxy(target);
    proxy.#listener.listen(0, '127.0.0.1');
    await once(proxy.#listener, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#listener.address() as { readonly port: number }).port;
  }

  /** The ID of the member behind it. */
  get id(): bigint | undefined {
    return this.#id;
  }

  belongsTo(id: bigint): void {
    this.#id = id;
  }

  /** Connections from this member end, and new ones do too. */
  isolate(from: bigint | 'everyone' | undefined): void {
    this.#cut = from;
    for (const link of this.#links) if (this.#isCut(link)) link.client.resetAndDestroy();
  }

  async stop(): Promise<void> {
    this.isolate('everyone');
    this.#listener.close();
  }

  #isCut({ from }: Link): boolean {
    return this.#cut !== undefined && (this.#cut === 'everyone' || from === undefined || from === this.#cut);
  }

  #accept(client: Socket, target: number): void {
    const server = connect({ port: target, host: '127.0.0.1' });
    const link: Link = { client, server, from: undefined };
    this.#links.add(link);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        server.destroy();
        this.#links.delete(link);
      });
    }
    client.on('data', (chunk) => {
      link.from ??= senderOf(chunk);
      if (this.#isCut(link)) client.resetAndDestroy();
    });
    client.pipe(server);
    server.pipe(client);
  }
}
