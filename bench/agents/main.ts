/**
 * Thousands of simulated agents on one etcd, or on several members.
 *
 *   node bench/agents/main.ts [--agents 1000] [--remotes 10] [--members 1] [--shared] [--imported 1] [--json FILE]
 *     [--nodes 30 --identities 50 --services 20 --endpoints 1500]    keys of each remote cluster
 *     [--rates 10,30,100] [--seconds 15]                             changes per second of all remote clusters
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runAgents } from './run.ts';

// Its processes end with it.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const { values } = parseArgs({
  options: {
    agents: { type: 'string', default: '1000' },
    remotes: { type: 'string', default: '10' },
    members: { type: 'string', default: '1' },
    shared: { type: 'boolean', default: false },
    imported: { type: 'string', default: '1' },
    nodes: { type: 'string', default: '30' },
    identities: { type: 'string', default: '50' },
    services: { type: 'string', default: '20' },
    endpoints: { type: 'string', default: '1500' },
    rates: { type: 'string', default: '10,30,100' },
    seconds: { type: 'string', default: '15' },
    'per-process': { type: 'string', default: '500' },
    json: { type: 'string' },
  },
});

const options = {
  agents: Number(values.agents),
  remotes: Number(values.remotes),
  members: Number(values.members),
  isShared: values.shared,
  imported: Number(values.imported),
  shape: {
    nodes: Number(values.nodes),
    identities: Number(values.identities),
    services: Number(values.services),
    backends: 5,
    endpoints: Number(values.endpoints),
  },
  rates: values.rates.split(',').map(Number),
  seconds: Number(values.seconds),
  perProcess: Number(values['per-process']),
};
process.stdout.write(`${JSON.stringify(options)}\n`);
const result = await runAgents(options, (line) => process.stdout.write(`${line}\n`));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ options, ...result }, undefined, 2)}\n`);
process.exit();
