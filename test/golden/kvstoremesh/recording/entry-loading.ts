/**
 * Many keys written into an etcd at once.
 */
import { callEtcd, putKey } from '../../../support/etcd/etcd-gateway.ts';
import type { InputEntry } from './input-bytes.ts';

/** Below what etcd allows. */
const PUTS_PER_TXN = 100;
const LONGEST_VALUE_OF_TXN = 64 * 1024;

/** In the order given, as far as a transaction can take them together. */
export async function loadEntries(endpoint: string, entries: readonly InputEntry[]): Promise<void> {
  const alone = entries.filter((entry) => !fitsTxn(entry));
  const together = entries.filter(fitsTxn);
  for (let start = 0; start < together.length; start += PUTS_PER_TXN) {
    const puts = together.slice(start, start + PUTS_PER_TXN).map(({ key, value }) => ({
      request_put: { key: key.toString('base64'), value: value.toString('base64') },
    }));
    await callEtcd(endpoint, 'kv/txn', { success: puts });
  }
  for (const { key, value, ttlSeconds } of alone) await putKey(endpoint, key, value, ttlSeconds);
}

function fitsTxn({ value, ttlSeconds }: InputEntry): boolean {
  return ttlSeconds === 0 && value.length <= LONGEST_VALUE_OF_TXN;
}
