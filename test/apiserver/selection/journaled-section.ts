/**
 * Sections that note every call in one journal, in order, and confirm them some turns of the event loop later, as etcd would.
 *
 * The journal tells what etcd has for certain, and what it may have: a call that is not confirmed yet may have been carried out or not.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EtcdKey } from '../../../src/shared/etcd/types.ts';
import type { Section } from '../../../src/shared/publisher/types.ts';

export interface Call {
  readonly verb: 'upsert' | 'remove';
  readonly key: string;
  /** Undefined of a removal. */
  readonly value: string | undefined;
  isConfirmed: boolean;
}

export class Journal {
  readonly calls: Call[] = [];
  /** Called before each call is noted. */
  onCall: (call: Call) => void = () => undefined;

  note(verb: Call['verb'], key: string, value?: Uint8Array): void {
    const call = { verb, key, value: value && Buffer.from(value).toString(), isConfirmed: false };
    this.onCall(call);
    this.calls.push(call);
  }

  /** What etcd may have under `key` at this moment; undefined for nothing. */
  possible(key: string): ReadonlySet<string | undefined> {
    const calls = this.calls.filter((call) => call.key === key);
    const last = calls.findLastIndex(({ isConfirmed }) => isConfirmed);
    const values = calls.slice(Math.max(0, last)).map(({ value }) => value);
    return new Set(last < 0 ? [undefined, ...values] : values);
  }
}

export type JournaledSection = Section & {
  readonly texts: () => Record<string, string>;
  readonly isListed: () => boolean;
};

/** `content`: what etcd has before the first call. `turns`: how many turns of the event loop each confirmation takes. */
export function journaledSection(
  journal: Journal,
  turns: () => number,
  content: Readonly<Record<string, string>> = {},
): JournaledSection {
  const held = new Map<EtcdKey, string>();
  const own: Call[] = [];
  const unnamed = new Set(Object.keys(content));
  const synced = Promise.withResolvers<void>();
  let isListed = false;
  const confirm = async () => {
    const sent = [...own];
    for (let turn = turns(); turn > 0; turn -= 1) await nextTurn();
    for (const call of sent) call.isConfirmed = true;
  };
  const note = (verb: Call['verb'], key: EtcdKey, value?: Uint8Array) => {
    journal.note(verb, key, value);
    const call = journal.calls.at(-1);
    if (call !== undefined) own.push(call);
  };
  const section = {
    texts: () => Object.fromEntries(held),
    isListed: () => isListed,
    upsert(key: EtcdKey, value: Uint8Array) {
      const text = Buffer.from(value).toString();
      if (held.get(key) !== text) note('upsert', key, value);
      held.set(key, text);
      unnamed.delete(key);
    },
    remove(key: EtcdKey) {
      const isNamed = held.delete(key);
      if (unnamed.delete(key) || isNamed) note('remove', key);
    },
    listed() {
      isListed = true;
      for (const key of unnamed) note('remove', key as EtcdKey);
      void confirm().then(synced.resolve);
    },
    interrupted: () => undefined,
    compare(key: EtcdKey, value: Uint8Array) {
      const text = content[key];
      if (text === undefined) return 'absent';
      return text === Buffer.from(value).toString() ? 'same' : 'other';
    },
    whenEtcdListed: () => Promise.resolve(),
    whenSynced: () => synced.promise,
    flushed: confirm,
  };
  return section as unknown as JournaledSection;
}
