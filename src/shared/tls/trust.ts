/**
 * The material of one side of TLS connections: trusted CAs, and a certificate to present.
 */
import { X509Certificate } from 'node:crypto';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { asError, ProgramError } from '../errors.ts';
import { MAX_CERTIFICATES_PER_FILE } from '../limits.ts';
import { type Certificate, certificatesOf } from './certificate.ts';
import { certificateBlocks } from './pem.ts';

/** PEM. */
export interface TlsFiles {
  /** Every certificate in it is an anchor; the system's authorities where absent. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** Files of which no context for handshakes can be made. */
export class TlsFilesError extends ProgramError {
  readonly code = 'TLS_FILES';
  readonly retriable = true;
}

export class Trust {
  readonly context: SecureContext;
  readonly #anchorBlocks: readonly string[];
  #anchors: readonly Certificate[] | undefined;

  /** Throws TlsFilesError. */
  constructor({ ca, cert, key }: TlsFiles) {
    this.#anchorBlocks = ca === undefined ? getCACertificates('system') : checkedBlocks(ca);
    try {
      this.context = createSecureContext({
        ca: [...this.#anchorBlocks],
        allowPartialTrustChain: true,
        ...(cert === undefined || key === undefined ? {} : { cert, key }),
        minVersion: 'TLSv1.2',
      });
    } catch (thrown) {
      throw new TlsFilesError(asError(thrown).message, { cause: thrown });
    }
  }

  /** Parsed on first use: the system has many. */
  get anchors(): readonly Certificate[] {
    this.#anchors ??= this.#anchorBlocks.flatMap((block) => {
      try {
        return certificatesOf(block);
      } catch {
        // OpenSSL accepted it; it is no anchor for the search beyond OpenSSL's.
        return [];
      }
    });
    return this.#anchors;
  }
}

/** OpenSSL passes over what is malformed, and takes a text without any certificate for an empty list. */
function checkedBlocks(ca: string): readonly string[] {
  const blocks = certificateBlocks(ca);
  if (blocks.length === 0) throw new TlsFilesError('no CA certificate found');
  if (blocks.length > MAX_CERTIFICATES_PER_FILE)
    throw new TlsFilesError(`more than ${MAX_CERTIFICATES_PER_FILE} CA certificates`);
  for (const [index, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch (thrown) {
      throw new TlsFilesError(`CA certificate ${index + 1} is malformed`, { cause: thrown });
    }
  }
  return blocks;
}
