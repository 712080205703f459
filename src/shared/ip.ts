/**
 * IP addresses as bytes and as text, by the rules of Go's netip: no zones (`fe80::1%eth0`), and no numbers with leading
 * zeros, which some programs read as octal. Takes text of any length and origin in linear time.
 */
const COLON = 0x3a;

/** Eight groups of which the last two are an IPv4 address. */
const LONGEST_IPV6 = 45;

/** The 4 or 16 bytes of an address; undefined for anything else. An IPv4 address in IPv6 form has 16: see `isMapped`. */
export function addressBytes(text: string): Uint8Array | undefined {
  const ipv4 = ipv4Bits(text);
  if (ipv4 !== undefined) return Uint8Array.of(ipv4 >>> 24, (ipv4 >>> 16) & 0xff, (ipv4 >>> 8) & 0xff, ipv4 & 0xff);
  return text.length <= LONGEST_IPV6 ? ipv6Bytes(text) : undefined;
}

/** `::ffff:10.1.1.1`: an IPv4 address in the last 4 of 16 bytes. */
export function isMapped(bytes: Uint8Array): boolean {
  return bytes.length === 16 && bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

/** One text for each address: IPv6 as RFC 5952 has it, IPv4 in IPv6 form as IPv4. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (isMapped(bytes)) return bytes.subarray(12).join('.');
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  const run = longestZeroRun(groups);
  if (run.length < 2) return groups.join(':');
  return `${groups.slice(0, run.start).join(':')}::${groups.slice(run.start + run.length).join(':')}`;
}

/** The longest run of zero groups, the first of equally long ones. */
function longestZeroRun(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, index) => {
    if (group !== '0') start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  });
  return best;
}

/** Takes the characters of an IPv4 address one by one; one instance serves all, as nothing else runs between them. */
class Ipv4Reader {
  #bits = 0;
  /** The number being read; below 0 before its first digit. */
  #part = -1;
  #dots = 0;

  begin(): this {
    this.#bits = 0;
    this.#part = -1;
    this.#dots = 0;
    return this;
  }

  /** False where no address continues with this character. */
  takes(code: number): boolean {
    const part = this.#part;
    if (code === 0x2e) {
      if (part < 0) return false;
      this.#bits = (this.#bits << 8) | part;
      this.#part = -1;
      this.#dots += 1;
      return true;
    }
    const digit = code - 0x30;
    if (digit < 0 || digit > 9 || part === 0) return false;
    this.#part = part < 0 ? digit : part * 10 + digit;
    return this.#part <= 255;
  }

  end(): number | undefined {
    return this.#dots === 3 && this.#part >= 0 ? (this.#bits << 8) | this.#part : undefined;
  }
}

const ipv4Reader = new Ipv4Reader();
/** Characters of an IPv4 address. */
const MAX_IPV4_LENGTH = 15;

/** Four decimal numbers, by default all of `text`, as 32 bits with a sign; undefined for anything else. */
export function ipv4Bits(text: string, from = 0, to = text.length): number | undefined {
  if (to - from > MAX_IPV4_LENGTH) return undefined;
  const reader = ipv4Reader.begin();
  for (let at = from; at < to; at += 1) if (!reader.takes(text.charCodeAt(at))) return undefined;
  return reader.end();
}

/** As `ipv4Bits`, for the characters `bytes[from, to)`: an address in a message costs no string. */
export function ipv4BitsOfBytes(bytes: Uint8Array, from: number, to: number): number | undefined {
  if (to - from > MAX_IPV4_LENGTH) return undefined;
  const reader = ipv4Reader.begin();
  for (let at = from; at < to; at += 1) if (!reader.takes(bytes[at] as number)) return undefined;
  return reader.end();
}

/** Eight groups of four hexadecimal digits, one run of zeros left out, the last two perhaps as an IPv4 address (RFC 4291). No zone. */
function ipv6Bytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(16);
  let filled = 0;
  /** Where the run of zeros is that is left out. */
  let gap = -1;
  let at = 0;
  while (at < text.length) {
    if (text.startsWith('::', at)) {
      if (gap >= 0) return undefined;
      gap = filled;
      at += 2;
      continue;
    }
    if (filled > 0 && gap !== filled) {
      if (text.charCodeAt(at) !== COLON) return undefined;
      at += 1;
    }
    const end = groupEnd(text, at);
    const ipv4 = end === text.length ? ipv4Bits(text, at, end) : undefined;
    const group = ipv4 ?? groupOf(text, at, end);
    if (group === undefined || filled + (ipv4 === undefined ? 2 : 4) > 16) return undefined;
    if (ipv4 !== undefined) {
      bytes[filled] = ipv4 >>> 24;
      bytes[filled + 1] = ipv4 >>> 16;
      filled += 2;
    }
    bytes[filled] = group >>> 8;
    bytes[filled + 1] = group;
    filled += 2;
    at = end;
  }
  if (gap < 0) return filled === 16 ? bytes : undefined;
  if (filled === 16) return undefined;
  bytes.copyWithin(16 - (filled - gap), gap, filled);
  return bytes.fill(0, gap, 16 - (filled - gap));
}

function groupEnd(text: string, from: number): number {
  const end = text.indexOf(':', from);
  return end < 0 ? text.length : end;
}

function groupOf(text: string, from: number, to: number): number | undefined {
  if (to === from || to - from > 4) return undefined;
  let group = 0;
  for (let at = from; at < to; at += 1) {
    const code = text.charCodeAt(at);
    const letter = (code | 0x20) - 0x61;
    const digit = code >= 0x30 && code <= 0x39 ? code - 0x30 : letter >= 0 && letter < 6 ? letter + 10 : -1;
    if (digit < 0) return undefined;
    group = group * 16 + digit;
  }
  return group;
}
