#!/bin/sh
# Generates the TypeScript of src/shared/etcd/wire/proto/*.proto next to it, or below the directory given as argument.
set -eu
cd "$(dirname "$0")/.."
proto=src/shared/etcd/wire/proto
PATH="$PWD/node_modules/.bin:$PATH"
exec buf generate "$proto" --template "{
  \"version\": \"v2\",
  \"plugins\": [{
    \"local\": \"protoc-gen-ts_proto\",
    \"out\": \"${1:-$proto}\",
    \"opt\": [
      \"env=node\",
      \"forceLong=bigint\",
      \"oneof=unions\",
      \"enumsAsLiterals=true\",
      \"importSuffix=.ts\",
      \"outputJsonMethods=false\",
      \"outputPartialMethods=false\",
      \"outputServices=none\",
      \"useOptionals=none\",
      \"esModuleInterop=true\"
    ]
  }]
}"
