/** Random label selectors with what they mean, and random labels that such selectors talk about. */
import fc from 'fast-check';

export interface Written {
  readonly text: string;
  /** The meaning, in the plainest words. */
  readonly selects: (labels: Readonly<Record<string, string>>) => boolean;
}

const names = fc.constantFrom('a', 'b', 'in', 'notin', 'x.io/a', 'constructor', 'A-b_c.9');
const values = fc.constantFrom('', '1', 'x', 'in', 'v-1_2.z', 'toString');

export const labels = fc.dictionary(names, values, { noNullPrototype: true });

const space = fc.constantFrom('', ' ', '\t ', '\n');
const gap = fc.constantFrom(' ', ' \t', '\r\n');

const existence = fc.tuple(fc.constantFrom('', '!'), space, names).map(
  ([sign, s, name]): Written => ({
    text: `${sign}${s}${name}`,
    selects: (labels) => name in { ...labels, __proto__: null } === (sign === ''),
  }),
);

const equality = fc.tuple(names, space, fc.constantFrom('=', '==', '!='), space, values).map(
  ([name, s, sign, t, value]): Written => ({
    text: `${name}${s}${sign}${t}${value}`,
    selects: (labels) => (Object.entries(labels).some(([n, v]) => n === name && v === value) ? sign !== '!=' : sign === '!='),
  }),
);

const membership = fc
  .tuple(names, gap, fc.constantFrom('in', 'notin'), space, fc.array(fc.tuple(space, values), { minLength: 1, maxLength: 4 }))
  .map(
    ([name, s, sign, t, list]): Written => ({
      text: `${name}${s}${sign}${t}(${list.map(([u, value]) => u + value).join(',')})`,
      selects: (labels) => {
        const isIn = Object.entries(labels).some(([n, v]) => n === name && list.some(([, value]) => value === v));
        return isIn === (sign === 'in');
      },
    }),
  );

export const selectors = fc.tuple(space, fc.array(fc.oneof(existence, equality, membership), { maxLength: 4 }), space).map(
  ([before, requirements, after]): Written => ({
    text: before + requirements.map(({ text }) => text).join(',') + after,
    selects: (labels) => requirements.every(({ selects }) => selects(labels)),
  }),
);

/** Texts that are almost selectors. */
export const almostSelectors = fc
  .array(fc.constantFrom('a', 'b', '1', 'in', 'notin', '(', ')', ',', '=', '!', ' ', '/', '-', 'x.io/', 'é', '"'), {
    maxLength: 9,
  })
  .map((parts) => parts.join(''));
