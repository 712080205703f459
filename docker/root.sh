#!/bin/sh
# Lays out in the directory $1 what does not come from this project, apart from etcd, and the launcher. With ICU=english
# Node knows no other language, with ICU=full it is only stripped.
#
#     base/       Node, the libraries that it is linked with, certificates of authorities, users, directories
#     program/    the launcher
#     empty/      nothing
#     libraries   where the libraries were found, a path in each line
set -eu
image=$1
base=$image/base
home=usr/lib/clustermesh-apiserver
mkdir -p "$image/empty" "$image/program/usr/bin" "$base/$home" "$base/usr/bin" "$base/etc/ssl/certs"

cc -std=c17 -Wall -Wextra -Werror -Os -static -s -o "$image/program/usr/bin/clustermesh-apiserver" init.c

node=$(readlink -f "$(command -v node)")
strip -o "$image/stripped" "$node"
case $ICU in
  english) node scripts/container/trim-node.ts "$image/stripped" "$base/$home/node" ;;
  full) mv "$image/stripped" "$base/$home/node" ;;
  *)
    echo "ICU=$ICU is neither english nor full" >&2
    exit 1
    ;;
esac
# What is left has to do for every language.
"$base/$home/node" -e '
  const date = (locale) => new Intl.DateTimeFormat(locale, { dateStyle: "full", timeZone: "Europe/Berlin" }).format(0);
  const facts = [date("en"), date("de").length > 0, "\u{fb01}".normalize("NFKC"), ["b", "\u{e4}", "a"].sort(Intl.Collator("en").compare).join("")];
  require("assert").deepEqual(facts, ["Thursday, January 1, 1970", true, "fi", "a\u{e4}b"]);
'

# The paths in the output of ldd; the loader is one of them, the kernel's page has none.
ldd "$node" | sed -n 's/^\(.* => \)\{0,1\}[[:space:]]*\(\/[^ ]*\) (0x.*/\2/p' | sort -u >"$image/libraries"
while read -r library; do
  target=$base/usr/${library#/usr/}
  case $library in /usr/*) ;; *) target=$base/usr$library ;; esac
  mkdir -p "$(dirname "$target")"
  cp -L "$library" "$target"
done <"$image/libraries"
ln -s etcd "$base/usr/bin/etcdctl"
for directory in bin lib lib64; do
  [ ! -d "$base/usr/$directory" ] || ln -s "usr/$directory" "$base/$directory"
done

cp -L /etc/ssl/certs/ca-certificates.crt "$base/etc/ssl/certs/"
cat >"$base/etc/passwd" <<END
root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin
END
cat >"$base/etc/group" <<END
root:x:0:
nobody:x:65534:
nonroot:x:65532:
END
printf 'hosts: files dns\n' >"$base/etc/nsswitch.conf"

# Where the charts mount something: a container with a read-only root needs the directories.
(cd "$base" && mkdir -p home/nonroot root run/cilium var/lib/cilium/clustermesh var/lib/cilium/etcd-config \
  var/lib/cilium/etcd-secrets var/lib/etcd-secrets tmp)
ln -s /run "$base/var/run"
chmod 1777 "$base/tmp"
chmod 0777 "$base/run/cilium"
cp etcd-config.yaml "$base/var/lib/cilium/"
