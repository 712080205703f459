/** What a daemon writes: never a flood, never a secret. */
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { keyOf, NO_LEASE, type TxnOperation } from '../../src/shared/etcd/types.ts';
import { MAX_LOG_LINES_PER_CAUSE } from '../../src/shared/limits.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { ConfigDirectory, harborFlags } from '../support/kvstoremesh/config-directory.ts';
import { type Remote, type Store, startFullRemote, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { startTlsRemote, tlsConfig } from '../support/kvstoremesh/tls-remote.ts';
import { freePort } from '../support/network/free-port.ts';
import { type Daemon, startDaemon } from '../support/processes/daemon.ts';
import { CertificateDirectory, canMakeCertificates } from '../support/tls/certificates.ts';
import { until } from '../support/until.ts';

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly leftOut?: number;
}

const BAD_KEYS = 10_000;

describe.skipIf(etcdVersions().length === 0)('the log of a daemon', () => {
  let directory: ConfigDirectory;
  let metricsPort: number;
  const certificates = new CertificateDirectory();
  beforeEach(async () => {
    directory = new ConfigDirectory();
    metricsPort = await freePort();
  });

  const start = (local: Store, ...flags: string[]): Promise<Daemon> =>
    startDaemon('kvstoremesh', [
      ...harborFlags(local, directory),
      `--prometheus-serve-addr=127.0.0.1:${metricsPort}`,
      '--api-serve-addr=',
      ...flags,
    ]);
  const scrape = async () => (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const linesOf = (log: string): Line[] =>
    log
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);

  async function stopped(daemon: Daemon): Promise<Line[]> {
    daemon.send('SIGTERM');
    expect(await daemon.ended()).toBe(0);
    return linesOf(daemon.log);
  }

  async function putLarge(remote: Remote): Promise<void> {
    const value = Buffer.alloc(101, 'x');
    for (let first = 0; first < BAD_KEYS; first += 100) {
      const operations = Array.from({ length: 100 }, (_, index): TxnOperation => {
        const key = keyOf(`cilium/state/nodes/v1/${remote.name}/bad-${first + index}`);
        return { type: 'put', key, value, lease: NO_LEASE };
      });
      await remote.client.txn(operations, { signal: AbortSignal.timeout(60_000) });
    }
  }

  test('logs twenty of ten thousand invalid keys, and the number of the others', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await putLarge(berlin);
    directory.add(berlin);
    await using daemon = await start(local, '--remote-max-value-size=100');
    const counted = `remote_cluster_rejected_keys_total{target_cluster="berlin",reason="value_too_large"} ${BAD_KEYS}\n`;
    await until('all are counted', async () => (await scrape()).includes(counted), { withinMs: 30_000 });
    const lines = await stopped(daemon);
    const ofKeys = lines.filter(({ msg }) => msg.startsWith('key of remote cluster not mirrored'));
    expect(ofKeys.length).toBe(MAX_LOG_LINES_PER_CAUSE);
    expect(lines.filter(({ leftOut }) => leftOut !== undefined)).toHaveLength(1);
    expect(lines.length).toBeLessThan(60);
  });

  test('stays short while a remote comes and goes', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    directory.add(berlin);
    await using daemon = await start(local);
    await daemon.ready();
    for (let round = 0; round < 200; round += 1) {
      berlin.proxy.cut();
      await berlin.put({ 'cilium/state/nodes/v1/berlin/node-1': `round ${round}` });
    }
    await until('it has caught up', async () => (await local.dump('cilium/cache/nodes/'))[NODE] === 'round 199');
    const byMessage = Map.groupBy(await stopped(daemon), ({ msg }) => msg);
    // Each of the two etcds has its own.
    for (const [message, lines] of byMessage) expect(lines.length, message).toBeLessThanOrEqual(2 * MAX_LOG_LINES_PER_CAUSE);
  });

  test.skipIf(!canMakeCertificates())(
    'contains no keys, certificates and values, after any failure of them (needs openssl 3)',
    async () => {
      const authority = certificates.authority('log');
      const server = authority.issue({ name: 'server', alternatives: ['IP:127.0.0.1'] });
      const client = { ...authority.issue({ name: 'remote' }), caFile: authority.caFile };
      await using local = await startLocal();
      await using berlin = await startTlsRemote('berlin', 7, server, authority);
      await berlin.put({ 'cilium/state/nodes/v1/berlin/secret': 'a-value-that-nobody-may-read' });
      directory.write('berlin', tlsConfig(berlin, client));
      // Others whose files do not fit, and one whose key is in the place of its configuration.
      directory.write('oslo', tlsConfig(berlin, { ...client, certFile: client.keyFile, keyFile: client.certFile }));
      directory.write('rome', `endpoints: [x]\n${readFileSync(client.keyFile, 'utf8')}`);
      await using daemon = await start(local, '--debug', '--remote-max-value-size=20', '--per-cluster-ready-timeout=1s');
      await daemon.ready();
      await until('the value is refused', () => daemon.log.includes('key of remote cluster not mirrored'));
      await until('the others are told', () => daemon.log.includes('oslo') && daemon.log.includes('rome'));
      const text = daemon.log + (await scrape());
      const health = await (await fetch(`http://127.0.0.1:${daemon.healthPort}/healthz`)).text();
      for (const file of [client.keyFile, client.certFile, server.keyFile]) {
        const material = readFileSync(file, 'utf8').split('\n');
        const secrets = material.filter((line) => line.length >= 16 && !line.startsWith('-----'));
        expect(secrets.length).toBeGreaterThan(1);
        for (const secret of secrets) expect(`${text}${health}`.includes(secret.slice(0, 16)), file).toBe(false);
      }
      expect(text).not.toContain('a-value-that-nobody');
    },
  );
});

const NODE = 'cilium/cache/nodes/v1/berlin/node-1';
