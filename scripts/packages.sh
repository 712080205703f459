# Packages of the distribution, unpacked rather than installed: no root, no service is started.
# Sourced, in the root of the project. Everything stays below .cache.

# unpack_package NAME DIRECTORY: has in DIRECTORY what the package would put into the root. What apt says goes to the output.
unpack_package() { unpack_packages "$2" alone "$1"; }

# unpack_with_dependencies DIRECTORY NAME...: the same of these packages and of all that they need and this machine has not.
unpack_with_dependencies() {
  directory=$1
  shift
  unpack_packages "$directory" with_dependencies "$@"
}

# Of `apt-get install --simulate`: a line with a version in brackets after the name is an upgrade of what is there.
missing_packages() { apt-get "$@" | sed -n 's/^Inst \([^ ]*\) (.*/\1/p'; }

# unpack_packages DIRECTORY alone|with_dependencies NAME...
unpack_packages() (
  directory=$1 which=$2 apt=$PWD/.cache/apt-$$
  shift 2
  wanted=$*
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || {
    echo 'there is no apt-get'
    exit 1
  }
  trap 'rm -rf "$apt"' EXIT
  mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$directory"
  set -- -qq -o "Dir::State=$apt/state" -o "Dir::State::status=/var/lib/dpkg/status" -o "Dir::Cache=$apt/cache" \
    -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20
  apt-get "$@" update 2>&1 || exit 1
  # The names are words.
  # shellcheck disable=SC2086
  if [ "$which" = with_dependencies ]; then
    wanted=$(missing_packages "$@" install --simulate --no-install-recommends $wanted)
    [ -n "$wanted" ] || {
      echo 'apt-get finds no such packages'
      exit 1
    }
  fi
  # shellcheck disable=SC2086
  (cd "$apt" && apt-get "$@" download $wanted) 2>&1 || exit 1
  for package in "$apt"/*.deb; do dpkg -x "$package" "$directory" 2>&1 || exit 1; done
)
