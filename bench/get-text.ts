/** What an HTTP server of a measured process answers, each time over a new connection: a kept one may be closed when it is used again. */
import { get } from 'node:http';

/** Rejects if there is no answer. */
export function getText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => resolve(Buffer.concat(chunks).toString()));
    }).once('error', reject);
  });
}
