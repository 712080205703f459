/**
 * What is fuzzed: each target reads an input, may refuse it with an error of the program, and may do nothing else. Any other
 * error is a fault, as is a promise of the target that does not hold.
 */
import assert from 'node:assert/strict';
import { ProgramError } from '../../src/shared/errors.ts';

type Run = (input: Buffer) => void | Promise<void>;

export interface Target {
  readonly name: string;
  /** Pieces that inputs are made of beside those of the corpus. */
  readonly words: readonly string[];
  /** Loads what is fuzzed, and nothing else: the more is loaded, the longer it takes to see what ran. */
  readonly load: () => Promise<Run>;
}

const STATUS = {
  name: 'west',
  list: [
    { a: 1, b: 'x' },
    { a: 2, b: null },
  ],
  deep: { list: [[1], [2, 3]] },
};

/** Whole fields of etcd's messages: bytes alone rarely agree with the lengths around them. */
const WIRE_WORDS = ['\n\0', '\x12\0', 'Z\0', 'Z\x02\x08\x01', '\x08\x01', '\x18\x01', ' \x01', '2\x01x', '8\x01', '*\0'];

const YAML_WORDS = [
  '\n',
  ': ',
  '- ',
  '---\n',
  '...\n',
  '&a',
  '*a',
  '<<: ',
  '!!binary ',
  '|\n ',
  '[',
  ']',
  '{',
  '}',
  '"',
  "'",
  '%YAML 1.1\n',
];

export const TARGETS: readonly Target[] = [
  { name: 'etcd-answers', words: WIRE_WORDS, load: etcdAnswers },
  {
    name: 'watch',
    words: [...WIRE_WORDS, 'k/', 'k/1'],
    load: async () => {
      const { watched } = await import('./watched.ts');
      return async (input) => {
        await watched(input);
      };
    },
  },
  {
    name: 'etcd-yaml',
    words: [
      ...YAML_WORDS,
      'endpoints',
      'trusted-ca-file',
      'https://',
      'http://',
      ':2379',
      '[::1]',
      'cilium-host-aliases',
      'ips',
      'yes',
    ],
    load: async () => {
      const { parseEtcdConfig } = await import('../../src/shared/etcd/config.ts');
      return (input) => attempt(() => parseEtcdConfig(input.toString(), 'fuzz.yaml'));
    },
  },
  {
    name: 'users-yaml',
    words: [...YAML_WORDS, 'users', 'name', 'role', 'local', 'remote', 'remote-x'],
    load: async () => {
      const { parseUsersFile } = await import('../../src/apiserver/users/users-file.ts');
      return (input) => attempt(() => parseUsersFile(input.toString(), 'users.yaml'));
    },
  },
  {
    name: 'kubernetes-lines',
    words: [
      '{"items":[',
      ']}',
      '"metadata":{',
      '"name":"a"',
      '"spec":',
      '"status":',
      '"ports":[',
      'null',
      'true',
      '1e999',
      '\n',
      '\\u0000',
    ],
    load: kubernetesLines,
  },
  {
    name: 'label-selector',
    words: ['=', '==', '!=', ' in ', ' notin ', '(', ')', ',', '!', 'app', 'example.com/name', 'x'.repeat(64)],
    load: labelSelector,
  },
  {
    name: 'json-path',
    words: [
      '{',
      '}',
      '.list',
      '[*]',
      '..a',
      '[?(@.a==1)]',
      '{range .list[*]}',
      '{end}',
      '[-1]',
      '[0:2]',
      '["a"]',
      '@',
      '$',
      '\\',
    ],
    load: async () => {
      const { compileJsonPath } = await import('../../src/cli/command/json-path.ts');
      return (input) => attempt(() => assert.equal(typeof compileJsonPath(input.toString())(STATUS), 'string'));
    },
  },
];

async function etcdAnswers(): Promise<Run> {
  const { decodeHeader, decodeRange, decodeTxn, decodeWatch, readEvents } = await import('../../src/shared/etcd/wire/codec.ts');
  const messages = await import('../../src/shared/etcd/wire/messages.ts');
  const maxKeys = 3;
  return (input) => {
    attempt(() => assert.ok(decodeRange(input, maxKeys).keyValues.length <= maxKeys));
    attempt(() => decodeHeader(input));
    attempt(() => decodeTxn(input));
    attempt(() => messages.decodeLeaseGrant(input));
    attempt(() => messages.decodeLeaseTimeToLive(input));
    attempt(() => messages.decodeNames(input));
    attempt(() => messages.decodePermissions(input));
    attempt(() => messages.decodeToken(input));
    attempt(() => {
      const { events } = decodeWatch(input);
      const slices = [...readEvents(events, 2)];
      assert.equal(slices.flat().length, events.count);
      assert.ok(slices.every(({ length }) => length >= 1 && length <= 2));
    });
  };
}

/** A body gives the same lines and items however it is cut; each is an object, or is refused. */
async function kubernetesLines(): Promise<Run> {
  const { parseJson } = await import('../../src/shared/kubernetes/objects/json.ts');
  const { LineSplitter } = await import('../../src/shared/kubernetes/reflector/lines.ts');
  const { ListItemSplitter } = await import('../../src/shared/kubernetes/reflector/list-items.ts');
  const k8s = await import('../../src/shared/kubernetes/objects/projections.ts');
  const projections = [k8s.projectService, k8s.projectEndpointSlice, k8s.projectCiliumNode, k8s.projectCiliumEndpoint];
  /** As many as there are before the rest is refused. */
  const pieces = (splitter: { push(chunk: Buffer): Iterable<Buffer>; finish(): unknown }, chunks: readonly Buffer[]) => {
    const found: string[] = [];
    attempt(() => {
      for (const chunk of chunks) for (const piece of splitter.push(chunk)) found.push(piece.toString());
      splitter.finish();
    });
    return found;
  };
  return (input) => {
    const cut = Math.floor(input.length / 2);
    const chunks = [input.subarray(0, cut), input.subarray(cut)];
    const lines = pieces(new LineSplitter(), [input]);
    assert.deepEqual(pieces(new LineSplitter(), chunks), lines);
    assert.deepEqual(pieces(new ListItemSplitter(), chunks), pieces(new ListItemSplitter(), [input]));
    for (const line of lines) for (const project of projections) attempt(() => project(parseJson(line, 'a line')));
  };
}

/** A selector formats itself. */
async function labelSelector(): Promise<Run> {
  const { parseLabelSelector } = await import('../../src/apiserver/export/label-selector.ts');
  return (input) =>
    attempt(() => {
      const { text, matches } = parseLabelSelector(input.toString());
      const again = parseLabelSelector(text);
      assert.equal(again.text, text);
      for (const labels of [{}, { app: 'a' }]) assert.equal(again.matches(labels), matches(labels));
    });
}

/** Runs `action`, which may refuse its input. */
function attempt(action: () => unknown): void {
  try {
    action();
  } catch (thrown) {
    if (!(thrown instanceof ProgramError || (thrown instanceof Error && thrown.name === 'ShapeError'))) throw thrown;
  }
}
