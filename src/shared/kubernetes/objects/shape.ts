/**
 * Small parsers of JSON values from outside. Each reads the fields it needs and ignores the rest;
 * a value of an unexpected type is rejected with the path of the field.
 *
 * A null counts as absent: Go writes an empty list, an empty map or a nil pointer in this way.
 */

/** Parses `raw`, found at `path`. Throws ShapeError. */
export type Shape<T> = (raw: unknown, path: string) => T;

type Shapes<T> = { readonly [Field in keyof T]: Shape<T[Field]> };

/** A field of an object is not what the API promises. The message names the field and never its value. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

function refuse(path: string, expected: string): never {
  throw new ShapeError(`${path} is not ${expected}`);
}

export const text: Shape<string> = (raw, path) => (typeof raw === 'string' ? raw : refuse(path, 'a string'));

/** Any number, even one out of range for its field, approximated if necessary: the user of the field checks its range. */
export const number: Shape<number> = (raw, path) => {
  if (typeof raw === 'bigint') return Number(raw);
  return typeof raw === 'number' ? raw : refuse(path, 'a number');
};

/** An exact 64-bit integer: a bigint if a number does not represent it. */
export const wideInteger: Shape<number | bigint> = (raw, path) => {
  if (Number.isSafeInteger(raw)) return raw as number;
  return typeof raw === 'bigint' && BigInt.asIntN(64, raw) === raw ? raw : refuse(path, 'an integer of 64 bits');
};

export const flag: Shape<boolean> = (raw, path) => (typeof raw === 'boolean' ? raw : refuse(path, 'true or false'));

/** A map of strings, kept as it is. */
export const textMap: Shape<Readonly<Record<string, string>>> = (raw, path) => {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return refuse(path, 'a map');
  for (const value of Object.values(raw)) if (typeof value !== 'string') refuse(path, 'a map of strings');
  return raw as Readonly<Record<string, string>>;
};

/** A map of strings, of which only the entries named by `isKept` are kept. */
export function textMapOf(isKept: (name: string) => boolean): Shape<Readonly<Record<string, string>>> {
  return (raw, path) => Object.fromEntries(Object.entries(textMap(raw, path)).filter(([name]) => isKept(name)));
}

export function list<T>(item: Shape<T>): Shape<readonly T[]> {
  return (raw, path) => {
    if (!Array.isArray(raw)) return refuse(path, 'a list');
    return raw.map((value, index) => item(value, `${path}[${index}]`));
  };
}

/** An object with the fields of `required`, and the present ones of `optional`. */
export function record<R extends object, O extends object = object>(
  required: Shapes<R>,
  optional: Shapes<O> = {} as Shapes<O>,
): Shape<R & Partial<O>> {
  const needed = Object.entries<Shape<unknown>>(required);
  const wanted = Object.entries<Shape<unknown>>(optional);
  return (raw, path) => {
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return refuse(path || 'the value', 'an object');
    const fields = raw as Readonly<Record<string, unknown>>;
    const prefix = path === '' ? '' : `${path}.`;
    const result: Record<string, unknown> = {};
    for (const [name, shape] of needed) result[name] = shape(fields[name], prefix + name);
    for (const [name, shape] of wanted) {
      const value = fields[name];
      if (value === undefined || value === null) continue;
      result[name] = shape(value, prefix + name);
    }
    return result as R & Partial<O>;
  };
}
