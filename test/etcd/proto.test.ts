import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const proto = join(root, 'src/shared/etcd/wire/proto');

test('the generated code is what the generator makes of the definition today', () => {
  const directory = temporaryDirectory();
  execFileSync(join(root, 'scripts/generate-proto.sh'), [directory], { stdio: 'pipe' });
  for (const file of ['auth.ts', 'auth_rpc.ts', 'kv.ts', 'rpc.ts']) {
    expect(readFileSync(join(directory, file), 'utf8'), `${file} is not current: run scripts/generate-proto.sh`).toBe(
      readFileSync(join(proto, file), 'utf8'),
    );
  }
});

test('our definition says what the one of the etcd3 package says, as far as it goes', () => {
  const ours = describeProto(proto);
  const theirs = describeProto(withoutGateway(join(root, 'node_modules/etcd3/proto')));
  expect(ours.size).toBeGreaterThan(100);
  for (const [name, meaning] of ours) expect([name, theirs.get(name)]).toEqual([name, meaning]);
});

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'proto-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** A copy without the paths of the HTTP gateway, whose own definition is not there. */
function withoutGateway(directory: string): string {
  const copy = temporaryDirectory();
  for (const file of readdirSync(directory)) {
    const text = readFileSync(join(directory, file), 'utf8')
      .replaceAll(/option \(google\.api\.http\) = \{[^}]*\};?(\s*\};)?(?=\s*\})/g, '')
      .replaceAll('import "./', 'import "');
    writeFileSync(join(copy, file), text);
  }
  return copy;
}

interface Descriptor {
  readonly name: string;
  readonly field?: readonly {
    name: string;
    number: number;
    type: string;
    label: string;
    typeName?: string;
    oneofIndex?: number;
  }[];
  readonly nestedType?: readonly Descriptor[];
  readonly enumType?: readonly EnumDescriptor[];
}

interface EnumDescriptor {
  readonly name: string;
  readonly value: readonly { name: string; number?: number }[];
}

interface FileDescriptor {
  readonly package: string;
  readonly messageType?: readonly Descriptor[];
  readonly enumType?: readonly EnumDescriptor[];
  readonly service?: readonly {
    name: string;
    method: readonly {
      name: string;
      inputType: string;
      outputType: string;
      clientStreaming?: boolean;
      serverStreaming?: boolean;
    }[];
  }[];
}

/** Every field, enum value and method by its full name, with number and type. */
function describeProto(directory: string): Map<string, string> {
  const buf = join(root, 'node_modules/.bin/buf');
  const image: unknown = JSON.parse(
    execFileSync(buf, ['build', directory, '-o', '-#format=json'], { encoding: 'utf8', stdio: 'pipe' }),
  );
  const described = new Map<string, string>();
  const addEnum = (scope: string, { name, value }: EnumDescriptor) => {
    // The package spells the values as its own generator likes them.
    for (const each of value)
      described.set(`${scope}.${name}.${each.name.toLowerCase().replace('_', '')}`, String(each.number ?? 0));
  };
  const addMessage = (scope: string, message: Descriptor) => {
    const name = `${scope}.${message.name}`;
    for (const field of message.field ?? []) {
      const isOneof = field.oneofIndex !== undefined;
      described.set(`${name}.${field.name}`, `${field.number} ${field.label} ${field.typeName ?? field.type} ${isOneof}`);
    }
    for (const nested of message.nestedType ?? []) addMessage(name, nested);
    for (const nested of message.enumType ?? []) addEnum(name, nested);
  };
  for (const file of (image as { file: FileDescriptor[] }).file) {
    for (const message of file.messageType ?? []) addMessage(file.package, message);
    for (const each of file.enumType ?? []) addEnum(file.package, each);
    for (const service of file.service ?? []) {
      for (const { name, inputType, outputType, clientStreaming = false, serverStreaming = false } of service.method) {
        described.set(
          `${file.package}.${service.name}.${name}`,
          `${inputType} ${clientStreaming} ${outputType} ${serverStreaming}`,
        );
      }
    }
  }
  return described;
}
