# A package of the distribution, unpacked rather than installed: no root, no service is started.
# Sourced, in the root of the project. Everything stays below .cache.

# unpack_package NAME DIRECTORY: has in DIRECTORY what the package would put into the root. What apt says goes to the output.
unpack_package() (
  name=$1 directory=$2 apt=$PWD/.cache/apt-$$
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || {
    echo 'there is no apt-get'
    exit 1
  }
  trap 'rm -rf "$apt"' EXIT
  mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$directory"
  set -- -qq -o "Dir::State=$apt/state" -o "Dir::State::status=/var/lib/dpkg/status" -o "Dir::Cache=$apt/cache" \
    -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20
  (apt-get "$@" update && cd "$apt" && apt-get "$@" download "$name") 2>&1 && dpkg -x "$apt/$name"_*.deb "$directory" 2>&1
)
