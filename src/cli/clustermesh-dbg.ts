/** `clustermesh-dbg`: looks into what the `clustermesh` daemon works with. */
import { commandGroup } from './command-group.ts';

export const clustermeshDbg = commandGroup({
  name: 'clustermesh-dbg',
  summary: 'Find out why the daemon clustermesh does not reach its etcd',
  commands: {},
});
