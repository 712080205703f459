#!/bin/sh
# Builds etcd of the module in this directory, for GOOS and GOARCH, into the directory $1. Besides it come the licences of
# every module that is linked into it: $1/licences/NAME@VERSION/.
set -eu
out=$1
mkdir -p "$out"
export CGO_ENABLED=0 GOFLAGS='-mod=readonly -trimpath -buildvcs=false'
go build -ldflags '-s -w' -o "$out/etcd" .

# licences NAME DIRECTORY
licences() {
  mkdir -p "$out/licences/$1"
  find "$2" -maxdepth 1 -type f \( -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'notice*' \) -exec cp {} "$out/licences/$1/" \;
  [ -n "$(ls "$out/licences/$1")" ] || {
    echo "no licence in $2" >&2
    return 1
  }
}

go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}}@{{.Version}} {{.Dir}}{{end}}{{end}}' . | sort -u >"$out/modules"
while read -r module directory; do licences "$module" "$directory"; done <"$out/modules"
licences "std@$(go env GOVERSION)" "$(go env GOROOT)"
