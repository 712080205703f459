# Installs what is missing: Node, the packages, an etcd. Sourced, in the root of the project.
# Everything stays below .cache and node_modules. Nothing is said about what is there already.

system_path=$PATH
. scripts/node.sh
. scripts/packages.sh

install_packages() {
  command -v npm >/dev/null || give_up 'npm is not installed' 'apt-get install npm'
  say 'installing the packages'
  mkdir -p .cache
  # With the system's Node, for which the system's npm was made; the packages need no install scripts.
  PATH=$system_path npm ci --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error >.cache/packages.log 2>&1 || {
    tail -n 5 .cache/packages.log >&2
    give_up 'the packages could not be installed' 'check the network and the registry of npm; npm has to be version 7 or newer'
  }
  cp package-lock.json node_modules/.installed-lock.json
}

etcd_runs() { "$1" --version >/dev/null 2>&1; }

# etcd.io's own release, checked against a pinned digest.
etcd_from_release() {
  NODE_USE_ENV_PROXY=1 node scripts/fetch-etcd.ts .cache/etcd >.cache/etcd.log 2>&1 && etcd_runs .cache/etcd/etcd
}

etcd_from_distribution() {
  unpack_package etcd-server .cache/etcd/unpacked >>.cache/etcd.log || return 1
  mv .cache/etcd/unpacked/usr/bin/etcd .cache/etcd/etcd && rm -rf .cache/etcd/unpacked && etcd_runs .cache/etcd/etcd
}

etcd_from_source() {
  command -v go >/dev/null || return 1
  go build -C test/tools/etcd-3.6 -trimpath -o "$PWD/.cache/etcd/etcd" go.etcd.io/etcd/server/v3 >>.cache/etcd.log 2>&1 && etcd_runs .cache/etcd/etcd
}

install_etcd() {
  mkdir -p .cache/etcd
  say 'installing etcd below .cache/etcd'
  etcd_from_release && return
  say 'no release from github.com, trying the distribution'
  etcd_from_distribution && return
  say 'no package from the distribution, trying to build it with Go'
  etcd_from_source && return
  tail -n 5 .cache/etcd.log >&2
  give_up 'no etcd was found, and none could be installed' 'install etcd 3.4 or newer, or name one: ETCD_BIN=/path/to/etcd'
}

cmp -s package-lock.json node_modules/.installed-lock.json || install_packages

if [ -n "${ETCD_BIN:-}" ]; then
  etcd_runs "${ETCD_BIN%%:*}" || give_up "ETCD_BIN=$ETCD_BIN is not an etcd that runs" 'name the binary, or leave ETCD_BIN empty'
elif ! etcd_runs etcd; then
  etcd_runs .cache/etcd/etcd || install_etcd
  PATH=$PWD/.cache/etcd:$PATH
  export PATH
fi
