// Who may import whom: cli → apiserver | kvstoremesh | etcdinit | mcsapi-coredns-cfg → shared, a package only where it is wrapped, and
// a test folder only itself and test/support.

/** A package may be imported by the files of `path` only; types travel freely. */
const onlyIn = (name, path, packages = name) => ({
  name: `${name} only in ${path}`,
  severity: 'error',
  from: { path: '^src/', pathNot: path },
  to: { path: `node_modules/(${packages})/` },
});

/**
 * Layers of a folder, the lowest first: the files of a layer import their own layer and those below it. A layer is a name of a
 * folder or a file without its ending; several of one layer do not import each other.
 */
const layersOf = (root, layers) =>
  layers.flatMap((names, level) =>
    [names].flat().map((name) => {
      const above = [...layers.slice(level + 1).flat(), ...[names].flat().filter((other) => other !== name)];
      return {
        name: `${root}${name} imports what is below it`,
        severity: 'error',
        from: { path: `${root}${name}(/|\\.ts$)` },
        to: { path: above.length === 0 ? '^$' : `${root}(${above.join('|')})(/|\\.ts$)` },
      };
    }),
  );

const SHARED = [
  ['errors', 'limits', 'nearest', 'printable', 'builtin-users', 'version', 'ip', 'protobuf', 'tag-table'],
  ['cluster-info', 'diagnosis'],
  'time',
  'files',
  'tls',
  'http',
  'process',
  'flags',
  ['etcd', 'kubernetes', 'tracing'],
  ['publisher', 'troubleshoot', 'leadership'],
  'doctor',
];
const ETCD = [
  ['types', 'config-keys', 'grpc-status'],
  ['errors', 'keyspace', 'observer', 'health'],
  ['wire', 'endpoint-address'],
  'config',
  'connection',
  'operations',
  ['client', 'metrics'],
  'local-etcd',
];
const KUBERNETES = [
  ['limits', 'errors'],
  'objects',
  'web-socket',
  'connection',
  ['reflector', 'secrets', 'version', 'events', 'config-maps'],
  'heartbeat',
];
const PUBLISHER = [
  ['types', 'store', 'audit-ranges'],
  ['writer', 'metrics', 'heartbeat', 'cluster-config-marker'],
  ['published-section', 'observed-keys', 'audit', 'lease-moves'],
  'late-writes',
  ['epoch', 'single-keys'],
  'publisher',
];
const APISERVER = [
  ['encoding', 'informers', 'annotations', 'users', 'mcs-api'],
  'converters',
  'export',
  ['flags', 'sections'],
  ['cilium-kinds', 'service-kinds'],
  ['plan', 'term'],
  'run',
];
const KVSTOREMESH = [
  ['errors', 'stage', 'cluster-config', 'configuration'],
  'mappings',
  ['import-guard', 'kv'],
  'import-policy',
  'mirror',
  'removal',
  'remote',
  ['flags', 'status'],
  'reports',
  ['readiness', 'page'],
  'term',
  'run',
];
const MESH = [
  ['errors', 'flags', 'kubeconfig', 'helm'],
  'cluster',
  ['addresses', 'clusters'],
  ['access', 'entries', 'pod', 'pods'],
  ['connect', 'status'],
  ['doctor', 'verbs'],
];
const CLI = [
  'command',
  ['completion', 'debug', 'clustermesh', 'kvstoremesh', 'etcdinit', 'mcsapi-coredns-cfg', 'certs', 'doctor', 'version'],
  'mesh',
  ['combined', 'kv'],
  'commands',
];
const BENCH = [
  ['report', 'usage', 'dataset', 'credentials'],
  ['etcd', 'frame'],
  ['ceiling', 'etcd-benchmark', 'daemon'],
  'load',
  ['kvstoremesh', 'inside', 'reconnect'],
  'main',
];

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
      name: 'what tests share imports no test folder',
      severity: 'error',
      from: { path: '^test/support/' },
      to: { path: '^test/', pathNot: '^test/support/' },
    },
    {
      // Other folders, too, compare with what the original did.
      name: 'a test folder imports itself, test/support and recordings',
      severity: 'error',
      from: { path: '^test/([^/]+)/', pathNot: '^test/support/' },
      to: { path: '^test/', pathNot: '^test/($1|support)/|^test/golden/[^/]+/recording/' },
    },
    { name: 'a test is imported by nothing', severity: 'error', from: {}, to: { path: '\\.test\\.ts$' } },
    {
      name: 'tests import of the demonstration its Kubernetes API and what starts its processes, except its own tests',
      severity: 'error',
      from: { path: '^test/', pathNot: '^test/demo' },
      to: { path: '^demo/', pathNot: '^demo/(kubernetes|mesh/processes)/' },
    },
    {
      name: 'of the scripts only their tests import anything, and what runs podman the environment for it',
      severity: 'error',
      from: { path: '^test/', pathNot: '^test/scripts/' },
      to: { path: '^(scripts|bench)/', pathNot: '^scripts/container/podman-environment\\.ts$' },
    },
    {
      name: 'demonstration, measurements and scripts import what tests share, and no test folder',
      severity: 'error',
      from: { path: '^(demo|bench|scripts)/' },
      to: { path: '^test/', pathNot: '^test/support/' },
    },
    {
      name: 'apiserver, kvstoremesh, etcdinit and mcsapi-coredns-cfg do not know each other',
      severity: 'error',
      from: { path: '^src/(apiserver|kvstoremesh|etcdinit|mcsapi-coredns-cfg)/' },
      to: { path: '^src/(apiserver|kvstoremesh|etcdinit|mcsapi-coredns-cfg)/', pathNot: '^src/$1/' },
    },
    {
      name: 'certs knows nothing of src but shared',
      severity: 'error',
      from: { path: '^src/certs/' },
      to: { path: '^src/', pathNot: '^src/(certs|shared)/' },
    },
    {
      name: 'mesh knows nothing of src but shared, and its doctor what is wrong with a certificate',
      severity: 'error',
      from: { path: '^src/mesh/(?!doctor/certificates/)' },
      to: { path: '^src/', pathNot: '^src/(mesh|shared)/' },
    },
    {
      name: 'the doctor of mesh knows of certs the findings and profiles alone',
      severity: 'error',
      from: { path: '^src/mesh/doctor/certificates/' },
      to: { path: '^src/', pathNot: '^src/(mesh|shared)/|^src/certs/(findings|profiles)\\.ts$' },
    },
    {
      name: 'shared and the daemons know neither certs nor mesh',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(certs|mesh|cli)/' },
      to: { path: '^src/(certs|mesh)/' },
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
      name: 'the publisher and the checks know the vocabulary of etcd, not its client',
      severity: 'error',
      from: { path: '^src/shared/(publisher|troubleshoot)/' },
      to: {
        path: '^src/shared/etcd/',
        pathNot: '^src/shared/etcd/(types|errors|fence-renewed-error|keyspace|endpoint-address)\\.ts$',
      },
    },
    ...layersOf('^src/shared/', SHARED),
    ...layersOf('^src/shared/etcd/', ETCD),
    ...layersOf('^src/shared/kubernetes/', KUBERNETES),
    ...layersOf('^src/shared/publisher/', PUBLISHER),
    ...layersOf('^src/apiserver/', APISERVER),
    ...layersOf('^src/kvstoremesh/', KVSTOREMESH),
    ...layersOf('^src/mesh/', MESH),
    ...layersOf('^src/cli/', CLI),
    ...layersOf('^bench/', BENCH),
    onlyIn('@kubernetes/client-node', '^src/shared/kubernetes/'),
    onlyIn('undici', '^src/shared/kubernetes/'),
    onlyIn('pino', '^src/shared/process/log\\.ts$'),
    onlyIn('prom-client', '^src/shared/http/metrics\\.ts$'),
    onlyIn('fastify', '^src/shared/http/server\\.ts$'),
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
