/** The parts of JSON Schema that the OpenAPI document uses. Unknown ones are rejected. */
type Schema = Readonly<Record<string, unknown>>;

const KNOWN = [
  '$ref',
  'type',
  'description',
  'format',
  'minimum',
  'maxItems',
  'items',
  'required',
  'properties',
  'additionalProperties',
];

/** Where `value` does not match `schema`; `definitions` are those of the document. */
export function violationsOf(
  value: unknown,
  schema: Schema,
  definitions: Readonly<Record<string, Schema>>,
  path = '$',
): readonly string[] {
  const strange = Object.keys(schema).filter((word) => !KNOWN.includes(word));
  if (strange.length > 0) throw new Error(`the schema at ${path} has ${strange.join(', ')}`);
  if (typeof schema.$ref === 'string') {
    const definition = definitions[schema.$ref.replace('#/definitions/', '')];
    if (definition === undefined) throw new Error(`${schema.$ref} is not defined`);
    return violationsOf(value, definition, definitions, path);
  }
  if (!isOfType(value, schema)) return [`${path}: ${JSON.stringify(value)} is not of type ${String(schema.type)}`];
  if (typeof schema.minimum === 'number' && Number(value) < schema.minimum) return [`${path}: below ${schema.minimum}`];
  if (schema.format === 'date-time' && Number.isNaN(Date.parse(String(value)))) return [`${path}: no time`];
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => violationsOf(item, schema.items as Schema, definitions, `${path}[${index}]`));
  }
  return typeof value === 'object' && value !== null ? membersOf(value, schema, definitions, path) : [];
}

function membersOf(
  value: object,
  schema: Schema,
  definitions: Readonly<Record<string, Schema>>,
  path: string,
): readonly string[] {
  const properties = (schema.properties ?? {}) as Readonly<Record<string, Schema>>;
  const required = (schema.required ?? []) as readonly string[];
  return [
    ...required.filter((name) => !Object.hasOwn(value, name)).map((name) => `${path}: ${name} is missing`),
    ...Object.entries(value).flatMap(([name, member]) => {
      const property = properties[name];
      if (property !== undefined) return violationsOf(member, property, definitions, `${path}.${name}`);
      return schema.additionalProperties === false ? [`${path}: ${name} is not described`] : [];
    }),
  ];
}

function isOfType(value: unknown, { type }: Schema): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}
