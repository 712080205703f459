#!/bin/sh
# Builds the programs that tests need, from the modules in test/tools, into .cache/tools: the programs of Kubernetes in one binary,
# etcd-3.5, etcd-3.6, etcd-3.7, etcdctl, etcdctl-3.5, etcd-benchmark, helm and actionlint. Unpacks packages of the distribution
# there: prometheus with promtool and the shells of the completion tests where they are not in the PATH, podman where no container
# engine answers, containerd with all that a Kubernetes node needs, for root, and Chromium where there is none. What is there and
# newer than its module is kept without a word; each other tool is one line. A tool that cannot be had is skipped with the
# reason, and so are its tests later. With the argument `podman` only that is unpacked, also beside another engine.
set -u
cd "$(dirname "$0")/.." || exit 1
out=$PWD/.cache/tools
log=$out/build.log
mkdir -p "$out"
. scripts/packages.sh

# build NAME MODULE PACKAGE [LDFLAGS]
build() {
  name=$1 module=test/tools/$2 package=$3 ldflags="-s -w ${4:-}"
  if [ -x "$out/$name" ] && [ "$out/$name" -nt "$module/go.mod" ] && [ "$out/$name" -nt "$module/go.sum" ]; then
    return
  fi
  if ! command -v go >/dev/null 2>&1; then
    echo "$name: skipped: no Go in the PATH"
    return
  fi
  wanted=$(sed -n 's/^go //p' "$module/go.mod")
  found=$(go env GOVERSION | sed 's/^go//')
  if [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
    echo "$name: skipped: it wants Go $wanted, this is $found"
    return
  fi
  printf '%s: building ... ' "$name"
  if (cd "$module" && GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 go build -trimpath -ldflags "$ldflags" -o "$out/$name.new" "$package") >"$log" 2>&1; then
    mv "$out/$name.new" "$out/$name"
    echo "done"
  else
    rm -f "$out/$name.new"
    echo "skipped, the build failed: $(grep -v '^go: downloading' "$log" | tail -n 1)"
  fi
}

# runs PREFIX: whether there are a prometheus and a promtool that work.
runs() { "$1prometheus" --version >/dev/null 2>&1 && "$1promtool" --version >/dev/null 2>&1; }

fetch_prometheus() {
  if runs '' || runs "$out/prometheus/"; then return; fi
  new=$out/prometheus.new.$$
  printf 'prometheus: unpacking the package of the distribution ... '
  if unpack_package prometheus "$new" >"$log" && runs "$new/usr/bin/"; then
    rm -rf "$out/prometheus"
    mv "$new/usr/bin" "$out/prometheus"
    echo "done"
  else
    echo "skipped: $(tail -n 1 "$log")"
  fi
  rm -rf "$new"
}

fetch_podman() {
  [ ! -x "$out/podman/usr/bin/podman" ] || return 0
  if [ "$only" != podman ] && { command -v docker && docker version; } >/dev/null 2>&1; then return; fi
  new=$out/podman.new.$$
  printf 'podman: unpacking the packages of the distribution ... '
  # podman itself may be there already: then it is not unpacked, and the engine is for its owner to start.
  if unpack_with_dependencies "$new" podman runc conmon netavark aardvark-dns iptables >"$log" && [ -x "$new/usr/bin/podman" ]; then
    mv "$new" "$out/podman"
    echo "done"
  else
    echo "skipped: $(tail -n 1 "$log")"
  fi
  rm -rf "$new"
}

fetch_node() {
  [ "$(id -u)" = 0 ] && [ ! -d "$out/node" ] || return 0
  new=$out/node.new.$$
  printf 'containerd: unpacking the packages of the distribution ... '
  # What is installed already is not unpacked.
  if unpack_with_dependencies "$new" containerd runc containernetworking-plugins catatonit iptables iproute2 >"$log"; then
    mv "$new" "$out/node"
    echo "done"
  else
    echo "skipped: $(tail -n 1 "$log")"
  fi
  rm -rf "$new"
}

fetch_shells() {
  lacking=
  for shell in zsh fish; do
    command -v $shell >/dev/null 2>&1 || [ -x "$out/shells/bin/$shell" ] || [ -x "$out/shells/usr/bin/$shell" ] || lacking="$lacking $shell"
  done
  [ -n "$lacking" ] || return 0
  new=$out/shells.new.$$
  printf 'shells: unpacking the packages of the distribution ... '
  # The names are words.
  # shellcheck disable=SC2086
  if unpack_with_dependencies "$new" $lacking >"$log"; then
    rm -rf "$out/shells"
    mv "$new" "$out/shells"
    echo "done"
  else
    echo "skipped: $(tail -n 1 "$log")"
  fi
  rm -rf "$new"
}

fetch_chromium() {
  ! command -v chromium >/dev/null 2>&1 && [ ! -x "$out/chromium/usr/lib/chromium/chromium" ] || return 0
  new=$out/chromium.new.$$
  printf 'chromium: unpacking the packages of the distribution ... '
  if unpack_with_dependencies "$new" chromium fonts-dejavu-core fontconfig-config >"$log" && [ -x "$new/usr/lib/chromium/chromium" ]; then
    rm -rf "$out/chromium"
    mv "$new" "$out/chromium"
    echo "done"
  else
    echo "skipped: $(tail -n 1 "$log")"
  fi
  rm -rf "$new"
}

only=${1:-}
if [ "$only" = podman ]; then
  fetch_podman
  exit
fi

kubernetes=$(sed -n 's/^[[:space:]]*k8s.io\/kubernetes \(v[^ ]*\).*/\1/p' test/tools/kubernetes/go.mod)
build etcd-3.5 etcd-3.5 go.etcd.io/etcd/server/v3
build etcd-3.6 etcd-3.6 go.etcd.io/etcd/server/v3
build etcdctl etcd-3.6 go.etcd.io/etcd/etcdctl/v3
# The last one that restores backups.
build etcdctl-3.5 etcd-3.5 go.etcd.io/etcd/etcdctl/v3
build etcd-3.7 etcd-3.7 go.etcd.io/etcd/server/v3
# The same etcd minor as the bench measures with.
build etcd-benchmark etcd-benchmark go.etcd.io/etcd/v3/tools/benchmark
build actionlint actionlint github.com/rhysd/actionlint/cmd/actionlint
helm=helm.sh/helm/v3
# Without these variables, helm template assumes Kubernetes 1.20.
build helm helm "$helm/cmd/helm" "-X $helm/internal/version.version=$(sed -n 's|^[[:space:]]*helm.sh/helm/v3 \(v[^ ]*\).*|\1|p' test/tools/helm/go.mod) \
  -X $helm/pkg/lint/rules.k8sVersionMajor=1 -X $helm/pkg/lint/rules.k8sVersionMinor=34 \
  -X $helm/pkg/chartutil.k8sVersionMajor=1 -X $helm/pkg/chartutil.k8sVersionMinor=34"
version=k8s.io/component-base/version
build kubernetes kubernetes . "-X $version.gitVersion=$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=34"
# The name that it is called by selects the program.
for program in kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubelet; do
  [ ! -x "$out/kubernetes" ] || ln -sf kubernetes "$out/$program"
done
fetch_prometheus
fetch_podman
fetch_node
fetch_shells
fetch_chromium
