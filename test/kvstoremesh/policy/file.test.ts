import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MAX_IMPORT_POLICY_BYTES } from '../../../src/kvstoremesh/import-policy/limits.ts';
import { CurrentPolicy, followPolicyFile } from '../../../src/kvstoremesh/import-policy/rules/current-policy.ts';
import { Glob } from '../../../src/kvstoremesh/import-policy/rules/glob.ts';
import { parseImportPolicy } from '../../../src/kvstoremesh/import-policy/rules/policy-file.ts';
import { Registry } from '../../../src/shared/http/metrics.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

const rule = (text: string) => `clusters:\n- match: west\n  ${text}\n`;

describe('a policy file', () => {
  test.each([
    ['clusters:\n- match: a\n  kindz: []\n', 'p:3:3: clusters[0].kindz: unknown'],
    ['cluster: []', 'p:1:1: clusters: allowed: clusters, a list'],
    [rule('kinds: [nodes, pods]'), 'p:3:18: clusters[0].kinds[1]: allowed: nodes, '],
    [rule('kinds: [nodes, nodes]'), 'p:3:18: clusters[0].kinds[1]: allowed: each kind once'],
    [rule('podCIDRs: [10.8.0.0/13, 10.8.0.1/13]'), 'p:3:27: clusters[0].podCIDRs[1]: allowed: the network, 10.8.0.0/13'],
    [rule('nodeCIDRs: [10.8.0.0]'), 'p:3:15: clusters[0].nodeCIDRs[0]: allowed: a CIDR'],
    [rule('podCIDRs: ["::ffff:10.8.0.0/112"]'), 'p:3:14: clusters[0].podCIDRs[0]: allowed: a CIDR'],
    [rule('podCIDRs: [10.8.0.0/33]'), 'p:3:14: clusters[0].podCIDRs[0]: allowed: a CIDR'],
    [rule('podCIDRs: []'), 'p:3:13: clusters[0].podCIDRs: allowed: at least one entry'],
    [rule('namespaces: {allow: []}'), 'p:3:23: clusters[0].namespaces.allow: allowed: at least one entry'],
    [rule('namespaces: {allow: [Shop]}'), 'p:3:24: clusters[0].namespaces.allow[0]: allowed: a-z, 0-9'],
    [rule('namespaces: {deny: ["a**"]}'), 'p:3:23: clusters[0].namespaces.deny[0]: allowed: a-z, 0-9'],
    [rule('quota: {bytes: 20X}'), 'p:3:18: clusters[0].quota.bytes: allowed: a number of bytes'],
    [rule('quota: {keys: -1}'), 'p:3:17: clusters[0].quota.keys: allowed: a whole number'],
    ['clusters:\n- kinds: []\n', 'p:2:3: clusters[0].match: allowed: a name'],
    ['clusters:\n- match: a\n- match: b\n- match: a\n', 'p:4:10: clusters[2].match: "a" never counts: the rule at 2:10'],
    ['clusters:\n- match: "*"\n- match: a\n', 'p:3:10: clusters[1].match: "a" never counts: the rule at 2:10 matches every'],
    ['clusters: [{match: a, match: b}]', 'p:1:23: match: duplicate key'],
    ['clusters: [', 'p:1:12: '],
    [`clusters: [${'{match: a},'.repeat(2000)}]`, 'p:1:11: clusters: allowed: clusters, a list of at most 1024 rules'],
    [rule(`namespaces: {allow: [${'"a*",'.repeat(300)}]}`), 'p:3:23: clusters[0].namespaces.allow: allowed: at most 256 entries'],
    [`# ${'x'.repeat(MAX_IMPORT_POLICY_BYTES)}`, 'p: larger than'],
  ])('%j is wrong, and the message names the place', (text, message) => {
    expect(() => parseImportPolicy(text, 'p')).toThrow(expect.objectContaining({ message: expect.stringContaining(message) }));
  });

  test('the example of the documentation is read completely', () => {
    const policy = parseImportPolicy(
      `clusters:
- match: "eu-*"
  kinds: [nodes, services, identities, endpoints, serviceexports, endpointslices]
  namespaces: {allow: [shop, "team-*"], deny: [scratch]}
  podCIDRs: [10.8.0.0/13, "fd00:8::/32"]
  nodeCIDRs: [172.16.0.0/12]
  quota: {keys: 100000, bytes: 200Mi, changesPerSecond: 500}
- match: "*"
  kinds: [nodes, services]
`,
      'p',
    );
    expect(policy?.map(({ match }) => match)).toEqual(['eu-*', '*']);
    expect(policy?.[0]?.quota).toEqual({ keys: 100_000, bytes: 200 * 1024 * 1024, changesPerSecond: 500 });
    expect(policy?.[0]?.podCIDRs?.map(({ text }) => text)).toEqual(['10.8.0.0/13', 'fd00:8::/32']);
  });

  test.each([
    ['shop', ['shop'], ['shops', 'sho', '']],
    ['team-*', ['team-', 'team-a'], ['team', 'xteam-a']],
    ['*-prod', ['-prod', 'a-prod'], ['prod', 'a-prod-b']],
    ['a*b*c', ['abc', 'axbxc', 'abbcc'], ['ac', 'acb', 'abcd']],
    ['*', ['', 'x'], []],
    ['a*a', ['aa', 'aba'], ['a']],
  ])('the pattern %j', (pattern, matching, others) => {
    const glob = new Glob(pattern);
    expect([...matching, ...others].filter((name) => glob.matches(name))).toEqual(matching);
  });
});

/** A file that is followed, in a directory as Kubernetes mounts a ConfigMap. */
class Followed implements AsyncDisposable {
  readonly policy = new CurrentPolicy();
  readonly metrics = new Registry('test_');
  readonly path = join(temporaryDirectory('policy'), 'policy.yaml');
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  constructor(text?: string) {
    if (text !== undefined) writeFileSync(this.path, text);
    const { path, policy, metrics } = this;
    const options = { path, policy, clock: systemClock, log: silentLogger, metrics, health: { addCheck: () => () => undefined } };
    this.#ended = followPolicyFile(options, this.#stop.signal);
  }

  write(text: string): void {
    writeFileSync(`${this.path}.new`, text);
    renameSync(`${this.path}.new`, this.path);
  }

  get match(): string | undefined {
    return this.policy.ruleFor('west')?.rule.match;
  }

  async has(match: string | undefined): Promise<void> {
    await until(`the rule ${match}`, () => this.policy.isUsable && this.match === match && this.policy.problem === undefined);
  }

  async fails(reason: RegExp): Promise<void> {
    await until(`it fails with ${reason}`, () => reason.test(this.policy.problem ?? ''), { status: () => this.policy.problem });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('stopped by the test'));
    await this.#ended;
  }
}

function replaceByDirectory(path: string): void {
  rmSync(path);
  mkdirSync(path);
}

describe('a policy file that is followed', () => {
  test('is applied as it changes; a wrong one changes nothing, and is reported and counted', async () => {
    await using file = new Followed('clusters: [{match: west, kinds: []}]');
    await file.has('west');
    file.write('clusters: [{match: west, kinds: [pods]}]');
    await file.fails(/policy\.yaml:1:34: clusters\[0\]\.kinds\[0\]: allowed: nodes, .*; the policy before stays in force$/);
    expect(file.match).toBe('west');
    expect(await file.metrics.metrics()).toMatch(/^test_import_policy_failures_total 1$/m);
    file.write('clusters: [{match: "w*"}]');
    await file.has('w*');
    file.write('clusters: []');
    await file.has(undefined);
  });

  test.each([
    ['vanishes', (path: string) => rmSync(path), /does not exist; the policy before stays in force$/],
    [
      'is emptied',
      (path: string) => writeFileSync(path, '# nothing\n'),
      /is empty; to import everything, write "clusters: \[\]"; the policy before/,
    ],
    ['becomes a directory', replaceByDirectory, /is a directory.*the policy before/],
  ])('that %s after it was read stays in force', async (_, harm, reason) => {
    await using file = new Followed('clusters: [{match: west}]');
    await file.has('west');
    harm(file.path);
    await file.fails(reason);
    expect(file.match).toBe('west');
  });

  test.each([
    ['is missing', undefined],
    ['is empty', ''],
  ])('that %s at the start imports everything until it has a policy', async (_, text) => {
    await using file = new Followed(text);
    await file.has(undefined);
    file.write('clusters: [{match: west}]');
    await file.has('west');
  });

  test('that is wrong at the start lets nothing in or out', async () => {
    await using file = new Followed('clusters: 5');
    await file.fails(/policy\.yaml:1:11: .*nothing is imported or removed until it is valid$/);
    expect(file.policy.isUsable).toBe(false);
    file.write('clusters: [{match: west}]');
    await file.has('west');
  });
});
