/** Addresses to listen on, as Go programs write them: `:9962`, `localhost:9889`, `127.0.0.1:0`, `[::1]:1`, `[fe80::1%eth0]:1`. */

/** Of the health server, where no flag names another one. */
export const HEALTH_PORT = 9880;

export interface ListenAddress {
  /** Undefined for all addresses of the machine. */
  readonly host: string | undefined;
  /** 0 for any free one. */
  readonly port: number;
}

/** The address, or undefined where `text` is none. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([^:[\]\s/]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 0xffff) return undefined;
  return { host: match[1] ?? (match[2] || undefined), port };
}

/** The inverse of parseListenAddress. */
export function formatListenAddress({ host = '', port }: ListenAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
