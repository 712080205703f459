// Who may import whom: cli → apiserver | kvstoremesh | etcdinit | mcsapi-coredns-cfg → shared, and a package only where it is wrapped.

/** A package may be imported by the files of `path` only; types travel freely. */
const onlyIn = (name, path, packages = name) => ({
  name: `${name} only in ${path}`,
  severity: 'error',
  from: { path: '^src/', pathNot: path },
  to: { path: `node_modules/(${packages})/` },
});

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    { name: 'no cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'nothing unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'the program does not import its tests, tools or development packages',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|demo|scripts)/' },
    },
    { name: 'no development package', severity: 'error', from: { path: '^src/' }, to: { dependencyTypes: ['npm-dev'] } },
    {
      name: 'apiserver, kvstoremesh, etcdinit and mcsapi-coredns-cfg do not know each other',
      severity: 'error',
      from: { path: '^src/(apiserver|kvstoremesh|etcdinit|mcsapi-coredns-cfg)/' },
      to: { path: '^src/(apiserver|kvstoremesh|etcdinit|mcsapi-coredns-cfg)/', pathNot: '^src/$1/' },
    },
    {
      name: 'shared knows neither the daemons nor the command line',
      severity: 'error',
      from: { path: '^src/shared/' },
      to: { path: '^src/(apiserver|kvstoremesh|etcdinit|mcsapi-coredns-cfg|cli)/|^src/main' },
    },
    {
      name: 'the daemons and the tasks do not know the command line',
      severity: 'error',
      from: { path: '^src/(apiserver|kvstoremesh|etcdinit|mcsapi-coredns-cfg)/' },
      to: { path: '^src/cli/|^src/main' },
    },
    {
      name: 'a folder of shared imports leaf files of shared, its own, the rules of TLS, and the vocabulary of etcd',
      severity: 'error',
      from: { path: '^src/shared/([^/]+)/' },
      to: { path: '^src/shared/[^/]+/', pathNot: '^src/shared/($1/|tls/|etcd/(types|errors|endpoint-address)\\.ts$)' },
    },
    {
      name: 'a leaf file of shared imports only the smallest ones, or types of its neighbours',
      severity: 'error',
      from: { path: '^src/shared/[^/]+\\.ts$' },
      to: {
        path: '^src/',
        pathNot:
          '^src/shared/(allowed-hosts|bell|bounded-file|clock|duration|errors|go-yaml|in-slices|limits|listen-address|nearest)\\.ts$',
        dependencyTypesNot: ['type-only'],
      },
    },
    onlyIn('@grpc/grpc-js', '^src/shared/etcd/'),
    onlyIn('@bufbuild/protobuf', '^src/shared/etcd/'),
    onlyIn('@kubernetes/client-node', '^src/shared/k8s/'),
    onlyIn('undici', '^src/shared/k8s/'),
    onlyIn('pino', '^src/shared/log\\.ts$'),
    onlyIn('prom-client', '^src/shared/metrics\\.ts$'),
    onlyIn('fastify', '^src/shared/http\\.ts$'),
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    detectJSDocImports: false,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|coverage|\\.cache)/' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default', 'types'] },
  },
};
