import { etcdVersions } from '../support/etcd/etcd-process.ts';

/** The version of etcd recordings were made with; another one serves where it is missing. */
const RECORDED_ETCD = '3.6';

/** What `startEtcd` is asked for. */
export function recordedEtcd(): { readonly version?: string } {
  if (etcdVersions().some(({ minor }) => minor === RECORDED_ETCD)) return { version: RECORDED_ETCD };
  const newest = etcdVersions().at(-1)?.version;
  return newest === undefined ? {} : { version: newest };
}
