/**
 * The set of fields a manager owns, as `metadata.managedFields` records it.
 *
 * A path is a list of steps: `f:name` for a field, `k:{…}` for the item of a list with those keys,
 * `v:…` for a value in a set. Owned are leaves (values, and lists and maps that are replaced as a whole)
 * and the items of keyed lists.
 */
import { isList, isObject, type Json, type JsonObject, sameJson } from './json.ts';
import type { ListStructure, Structure } from './resource-kind.ts';

export type FieldPath = readonly string[];

/** Fields nobody owns: they say which object it is, or are the server's. */
const UNOWNED_METADATA = [
  'name',
  'generateName',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
  'managedFields',
];

export class FieldSet {
  readonly #paths = new Map<string, FieldPath>();

  constructor(paths: Iterable<FieldPath> = []) {
    for (const path of paths) this.#paths.set(path.join('\0'), path);
  }

  get size(): number {
    return this.#paths.size;
  }

  has(path: FieldPath): boolean {
    return this.#paths.has(path.join('\0'));
  }

  /** True where `path` or something below it is in the set. */
  hasAtOrBelow(path: FieldPath): boolean {
    if (this.has(path)) return true;
    const start = `${path.join('\0')}\0`;
    return this.#paths.keys().some((key) => key.startsWith(start));
  }

  filter(keep: (path: FieldPath) => boolean): FieldSet {
    return new FieldSet(this.#paths.values().filter(keep));
  }

  union(other: FieldSet): FieldSet {
    return new FieldSet([...this, ...other]);
  }

  [Symbol.iterator](): Iterator<FieldPath> {
    return this.#paths.values();
  }
}

/** The fields `object` sets. */
export function fieldsOf(object: JsonObject, structure: Structure): FieldSet {
  const paths: FieldPath[] = [];
  for (const [name, value] of Object.entries(object)) {
    if (name === 'apiVersion' || name === 'kind') continue;
    if (name !== 'metadata' || !isObject(value)) collect(value, structure, name, [`f:${name}`], paths);
    else {
      for (const [field, below] of Object.entries(value)) {
        if (!UNOWNED_METADATA.includes(field))
          collect(below, structure, `metadata.${field}`, ['f:metadata', `f:${field}`], paths);
      }
    }
  }
  return new FieldSet(paths);
}

function collect(value: Json, structure: Structure, schemaPath: string, path: FieldPath, paths: FieldPath[]): void {
  const list = structure.lists[schemaPath];
  if (isList(value) && value.length > 0 && list !== undefined) {
    for (const item of value) {
      const below = [...path, itemStep(item, list)];
      paths.push(below);
      if (list.type === 'map' && isObject(item)) collectFields(item, structure, schemaPath, below, paths);
    }
  } else if (isObject(value) && Object.keys(value).length > 0 && !structure.atomicMaps.includes(schemaPath)) {
    if (structure.isSchemaless === true && !schemaPath.startsWith('metadata.')) paths.push(path);
    collectFields(value, structure, schemaPath, path, paths);
  } else paths.push(path);
}

function collectFields(object: JsonObject, structure: Structure, schemaPath: string, path: FieldPath, paths: FieldPath[]): void {
  for (const [name, value] of Object.entries(object)) {
    collect(value, structure, `${schemaPath}.${name}`, [...path, `f:${name}`], paths);
  }
}

/** The step that leads to `item` of a list. */
export function itemStep(item: Json, list: ListStructure): string {
  if (list.type === 'set' || !isObject(item)) return `v:${JSON.stringify(item)}`;
  const keys = Object.keys(list.keys).sort();
  return `k:${JSON.stringify(Object.fromEntries(keys.map((key) => [key, item[key] ?? list.keys[key] ?? null])))}`;
}

/** The value at `path`, undefined where there is none. */
export function valueAt(root: Json | undefined, path: FieldPath): Json | undefined {
  return path.reduce<Json | undefined>((value, step) => {
    if (step.startsWith('f:')) return isObject(value) ? value[step.slice(2)] : undefined;
    return isList(value) ? value.find((item) => isItem(item, step)) : undefined;
  }, root);
}

/** `root` with another value at a path of fields. */
export function withValue(root: JsonObject, path: FieldPath, value: Json): JsonObject {
  const [step = '', ...rest] = path;
  const name = step.slice(2);
  const child = root[name];
  return { ...root, [name]: rest.length === 0 ? value : withValue(isObject(child) ? child : {}, rest, value) };
}

/** `root` without the value at `path`, nor the maps and lists that become empty by it. */
export function withoutPath(root: JsonObject, path: FieldPath): JsonObject {
  const left = remove(root, path);
  return isObject(left) ? left : {};
}

function remove(value: Json, path: FieldPath): Json | undefined {
  const [step, ...rest] = path;
  if (step === undefined) return undefined;
  if (step.startsWith('f:') && isObject(value)) {
    const name = step.slice(2);
    const child = value[name];
    if (child === undefined) return value;
    const left = remove(child, rest);
    const fields = Object.entries(value).flatMap(([field, each]): [string, Json][] => {
      if (field !== name) return [[field, each]];
      return left === undefined ? [] : [[field, left]];
    });
    return fields.length === 0 ? undefined : Object.fromEntries(fields);
  }
  if (!step.startsWith('f:') && isList(value)) {
    const items = value.flatMap((item) => {
      if (!isItem(item, step)) return [item];
      const left = remove(item, rest);
      return left === undefined ? [] : [left];
    });
    return items.length === 0 ? undefined : items;
  }
  return value;
}

function isItem(item: Json, step: string): boolean {
  const wanted = JSON.parse(step.slice(2)) as Json;
  if (step.startsWith('v:')) return sameJson(item, wanted);
  if (!isObject(item) || !isObject(wanted)) return false;
  return Object.entries(wanted).every(([name, value]) => (item[name] ?? defaultKey(name)) === value);
}

/** The one list key that may be left out in an object and is known by its default. */
function defaultKey(name: string): Json {
  return name === 'protocol' ? 'TCP' : null;
}

/** `set` in the form `metadata.managedFields` has it. */
export function toFieldsV1(set: FieldSet): JsonObject {
  interface Tree {
    [step: string]: Tree;
  }
  const root: Tree = {};
  const members = new Set<Tree>();
  for (const path of set) {
    let node = root;
    for (const step of path) {
      node[step] ??= {};
      node = node[step];
    }
    members.add(node);
  }
  const finish = (node: Tree): JsonObject => {
    const children = Object.keys(node).sort();
    const fields = children.map((step): [string, Json] => [step, finish(node[step] ?? {})]);
    return Object.fromEntries(members.has(node) && children.length > 0 ? [['.', {}], ...fields] : fields);
  };
  return finish(root);
}

/** The set `fields` stands for. */
export function fromFieldsV1(fields: JsonObject): FieldSet {
  const paths: FieldPath[] = [];
  const walk = (node: JsonObject, path: FieldPath) => {
    const steps = Object.entries(node);
    if (path.length > 0 && (steps.length === 0 || node['.'] !== undefined)) paths.push(path);
    for (const [step, child] of steps) if (step !== '.' && isObject(child)) walk(child, [...path, step]);
  };
  walk(fields, []);
  return new FieldSet(paths);
}
