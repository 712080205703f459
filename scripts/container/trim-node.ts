/**
 * Takes the data about languages other than English out of Node: `trim-node.ts SOURCE TARGET`. It is a fifth of the program,
 * and nothing here shows a person a text in another language. Node behaves like one that was configured with small-icu.
 */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { withoutPages } from './elf-cut.ts';
import { findIcuData, icuData, isOfOtherLanguages } from './icu-data.ts';

const [, , source, target] = process.argv;
if (source === undefined || target === undefined) throw new Error('usage: trim-node.ts SOURCE TARGET');
const program = readFileSync(source);
const { start, lastItem, header, items } = findIcuData(program);
const last = items.at(-1)?.name.toString() ?? '';
if (!isOfOtherLanguages(last)) throw new TypeError(`the last item, ${last}, cannot be left out`);
const kept = items.filter(({ name }) => !isOfOtherLanguages(name.toString()));
const data = icuData(header, kept);
data.copy(program, start);
writeFileSync(target, withoutPages(program, start + data.length, lastItem));
chmodSync(target, 0o755);
process.stdout.write(`${items.length - kept.length} of ${items.length} items of ICU left out\n`);
