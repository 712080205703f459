/**
 * The link from one cluster to the etcd of the other, which can be cut: a TCP forwarder on the loopback
 * interface.
 */

import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from 'node:net';

export class Link {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #isCut = false;

  private constructor(targetPort: number) {
    this.#server = createServer((near) => {
      if (this.#isCut) {
        near.destroy();
        return;
      }
      const far = dial({ port: targetPort, host: '127.0.0.1' });
      this.#join(near, far);
    });
  }

  /** Resolves when the link leads to `targetPort`. */
  static async to(targetPort: number): Promise<Link> {
    const link = new Link(targetPort);
    await new Promise<void>((resolve, reject) => {
      link.#server.once('error', reject);
      link.#server.listen(0, '127.0.0.1', resolve);
    });
    return link;
  }

  /** The near end. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Breaks every connection, and every later attempt to make one. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#open) socket.destroy();
  }

  /** New connections get through again. */
  restore(): void {
    this.#isCut = false;
  }

  /** Idempotent. */
  close(): void {
    this.cut();
    this.#server.close();
  }

  #join(near: Socket, far: Socket): void {
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#open.add(from);
      from.setNoDelay(true);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}
