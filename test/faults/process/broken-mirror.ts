/** Loaded before the program: the first three attempts to mirror the nodes of berlin fail by a mistake. */
import { RemoteCluster } from '../../../src/kvstoremesh/remote/cluster.ts';

const run = RemoteCluster.prototype.run;

RemoteCluster.prototype.run = function (this: RemoteCluster, signal) {
  const nodes = this.mirrors.find(({ mapping }) => mapping.name === 'nodes');
  if (this.name === 'berlin' && nodes !== undefined) {
    const follow = nodes.follow;
    let left = 3;
    nodes.follow = async (...args) => {
      if (left === 0) return follow.apply(nodes, args);
      left -= 1;
      throw new TypeError('a mistake that was planted');
    };
  }
  return run.call(this, signal);
};
