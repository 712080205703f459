/**
 * Limits, timeouts and intervals used in several places, with their reasons. Others are next to the code that they limit, those of
 * the Kubernetes client in kubernetes/limits.ts. docs/reference/bounds.md lists all of them.
 */

/** Operations of one etcd transaction: etcd's default for `--max-txn-ops`. */
export const MAX_TXN_OPERATIONS = 128;

/** Bytes of the keys and values of one transaction; by default etcd rejects requests above 1.5 MiB. */
export const MAX_TXN_BYTES = 1024 * 1024;

/** Bytes of one value: a put with its key and framing must stay below etcd's request limit. */
export const MAX_VALUE_BYTES = 1536 * 1024 - 8 * 1024;

/** Uncompressed bytes of an endpoint slice that is compared by its content: 1000 endpoints take a third of this. */
export const MAX_COMPARED_SLICE_BYTES = 1024 * 1024;

/** Bytes of a key. etcd has no limit; Kubernetes names are much shorter. */
export const MAX_KEY_BYTES = 8 * 1024;

/** Keys per page of a list, unless `etcd.limit` is set. */
export const DEFAULT_LIST_PAGE = 1000;

/** Bytes of one gRPC message from the local etcd: a watch may catch up in one message. */
export const MAX_ETCD_MESSAGE_BYTES = 512 * 1024 * 1024;

/**
 * Bytes of one gRPC message from a remote etcd: a catch-up has a thousand transactions at most, 40 MB if they are full of keys. A
 * larger page of a list is requested in smaller ones, a larger catch-up is replaced by a list.
 */
export const MAX_REMOTE_MESSAGE_BYTES = 64 * 1024 * 1024;

/** Bytes of a response to a request other than a list or watch: users, leases and transactions take a few kilobytes. */
export const MAX_SMALL_ANSWER_BYTES = 1024 * 1024;

/** Bytes received from all remote etcds together and not processed yet, and the interval of this check. */
export const MAX_RECEIVED_BYTES = 256 * 1024 * 1024;
export const RECEIVED_BYTES_CHECK_MS = 100;

/** Events of one message: one revision can delete all keys. They are counted in 20 ms. */
export const MAX_EVENTS_PER_MESSAGE = 1_000_000;

/** Protobuf fields of one key or event: those of etcd have ten. */
export const MAX_FIELDS_PER_KEY = 32;

/** Least bytes counted for a fragment of a response: an empty fragment costs as much. */
export const MIN_FRAGMENT_BYTES = 4096;

/**
 * Characters of a text from an etcd (a status message, the reason of a cancelled watch) that are read, matched, logged and shown.
 */
export const MAX_ETCD_TEXT_LENGTH = 1000;

/** Events decoded per turn of the event loop. */
export const EVENTS_PER_SLICE = 1000;

/** Deadline of a unary etcd call. */
export const ETCD_CALL_TIMEOUT_MS = 10_000;

/**
 * Interval of HTTP/2 pings of an etcd connection, and the additional time without any data after which it is closed. The sum keeps
 * the detection below 15 s; etcd closes connections that ping more often than every 5 s.
 */
export const ETCD_KEEPALIVE_TIME_MS = 10_000;
export const ETCD_KEEPALIVE_TIMEOUT_MS = 4_000;

/** Back-off of a request that an etcd does not answer, or answers with an error. */
export const ETCD_BACKOFF_MIN_MS = 50;
export const ETCD_BACKOFF_MAX_MS = 5_000;

/** Timeout of a TCP connection to one address of an etcd; and of the TLS handshake and the first HTTP/2 frame together with it. */
export const ETCD_CONNECT_TIMEOUT_MS = 2_000;
export const ETCD_DIAL_TIMEOUT_MS = 5_000;

/** Time without a connection after which a name is looked up and its addresses are dialed again; older attempts continue. */
export const ETCD_REDIAL_MS = 750;

/** Delay between dialing two addresses of a name, as in RFC 8305. */
export const ETCD_ADDRESS_DELAY_MS = 250;

/** Concurrent connection attempts of one endpoint; with 8 addresses each they use 48 sockets at most. */
export const MAX_DIAL_ROUNDS = 6;

/** Addresses of one name that are dialed; names of services have one or two per family. */
export const MAX_DIALLED_ADDRESSES = 8;

/** Sockets that one attempt opens to an address that is the only one of its name, two of them at a time. */
export const MAX_DIALS_OF_AN_ADDRESS = 3;

/** Back-off between attempts to connect to an etcd. */
export const ETCD_REDIAL_MIN_MS = 50;
export const ETCD_REDIAL_MAX_MS = 500;

/** The same while another endpoint of that etcd is connected. */
export const ETCD_SPARE_REDIAL_MAX_MS = 30_000;

/** Connection attempts after a failed one, for all remotes together, and their burst. */
export const ETCD_REDIALS_PER_SECOND = 30;
export const ETCD_REDIAL_BURST_MS = 500;

/** Duration of a connection after which its loss resets the back-off. */
export const ETCD_USEFUL_CONNECTION_MS = 1_000;

/** Concurrent DNS lookups: each can block one of the four threads that also read files. */
export const MAX_CONCURRENT_LOOKUPS = 2;

/** Endpoints of one etcd configuration file. */
export const MAX_ETCD_ENDPOINTS = 64;

/** Members in an answer of an etcd, and of a replicated etcd that etcdinit sets up; etcd recommends at most 7 voting members. */
export const MAX_ETCD_MEMBERS = 16;
export const MAX_INITIAL_MEMBERS = 7;

/** Bytes of a configuration file (etcd YAML, users file). */
export const MAX_CONFIG_FILE_BYTES = 1024 * 1024;

/** Timeout for checking whether the process that holds a leader lock has exited. */
export const LOCK_PROBE_MS = 1_000;

/** Keys attached to one lease; older etcd releases slow down with many (etcd issue 15993). */
export const MAX_KEYS_PER_LEASE = 1000;

/** Transactions in flight over all lanes of a publisher. */
export const MAX_TXNS_IN_FLIGHT = 8;

/** Lanes of one section; a key always uses the same lane. */
export const LANES_PER_SECTION = 4;

/** How long the first load of a later rank waits for an earlier rank that is still being listed. */
export const LOAD_ORDER_HOLD_MS = 5_000;

/** Time from the signal to the end of the process. */
export const SHUTDOWN_TIMEOUT_MS = 5_000;

/** Bytes of the cluster config of a remote; Cilium's own stay below 300. */
export const MAX_CLUSTER_CONFIG_BYTES = 64 * 1024;

/** Files of the configuration directory that are used as clusters: a mesh has at most 511 members. */
export const MAX_REMOTE_CLUSTERS = 511;

/** How long the first load of a later rank waits for an earlier rank whose listing has not begun. */
export const LOAD_ORDER_GRACE_MS = 2_000;

/** Interval of the publisher's audits for keys written externally, and the number of audits per complete comparison. */
export const AUDIT_INTERVAL_MS = 60_000;
export const AUDITS_PER_FULL_AUDIT = 10;

/** Keys of sections that an audit reads with one list; a larger section has a list of its own. */
export const MAX_SHARED_AUDIT_KEYS = 5_000;

/** Keys per second that move to a lease with the configured TTL: readers receive an event for each. */
export const LEASE_MOVES_PER_SECOND = 1000;

/** Sections that are listed in etcd at the same time. */
export const MAX_CONCURRENT_LOADS = 4;

/** Changes of different keys that are buffered while a section is listed in etcd; more of them restart the listing. */
export const MAX_BUFFERED_TOUCHES = 1_000_000;

/** Work on many keys per turn of the event loop: of the publisher, and on what remotes send. */
export const SLICE_MS = 5;

/** How often a publisher checks whether memory can be released. */
export const COMPACTION_INTERVAL_MS = 1_000;

/** Back-off of a publisher whose writes fail. */
export const PUBLISH_BACKOFF_MIN_MS = 50;
export const PUBLISH_BACKOFF_MAX_MS = 10_000;

/** How long a client of the HTTP servers may take to send a request, or be idle. */
export const HTTP_REQUEST_TIMEOUT_MS = 10_000;

/** How long a client may take to read a response, connections of a server, and work on a response per turn of the event loop. */
export const HTTP_ANSWER_TIMEOUT_MS = 30_000;
export const MAX_HTTP_CONNECTIONS = 128;
export const HTTP_SLICE_MS = 5;

/** Bytes of /etc/resolv.conf that are read. */
export const MAX_RESOLV_CONF_BYTES = 64 * 1024;

/** Consecutive pages of a list without a new object, after which the list fails. */
export const MAX_FRUITLESS_PAGES = 10;

/** Consecutive watches that end early without an event, after which a list is tried: the resource version may be invalid. */
export const MAX_FRUITLESS_WATCHES = 5;

/** Objects of one kind whose rejection is remembered, so that each is logged once. */
export const MAX_LOGGED_REJECTIONS = 1000;

/**
 * Interval between the starts of two attempts to mirror a remote cluster: 5 s at most while up to 100 are unreachable, then 50 ms
 * for each of them; and the longest one.
 */
export const REMOTE_BACKOFF_MIN_MS = 500;
export const REMOTE_BACKOFF_MAX_MS = 5_000;
export const REMOTE_BACKOFF_MS_PER_LOST = 50;
export const REMOTE_BACKOFF_LONGEST_MS = 30_000;

/** Back-off for removing the keys of a removed cluster, and the timeout for one prefix. */
export const DRAIN_RETRY_MIN_MS = 2_000;
export const DRAIN_RETRY_MAX_MS = 32_000;
export const DRAIN_TIMEOUT_MS = 60_000;

/** Timeout of one page of a list: large values may arrive over slow links. */
export const ETCD_LIST_TIMEOUT_MS = 60_000;

/** HTTP/2 flow control window per stream and per connection; the default of 64 KiB limits a round trip of 50 ms to 1.3 MB/s. */
export const ETCD_FLOW_CONTROL_WINDOW_BYTES = 1024 * 1024;

/** Requests queued because of `etcd.qps` or `etcd.maxInflight`. */
export const MAX_QUEUED_ETCD_REQUESTS = 1000;

/** How often certificate and key files are checked for changes. */
export const TLS_RELOAD_INTERVAL_MS = 5_000;

/** Bytes of an etcd client file: 64 endpoints take 10 kB, and a YAML parser takes seconds for a megabyte of brackets. */
export const MAX_ETCD_CONFIG_BYTES = 64 * 1024;

/** Warnings about one etcd client file. */
export const MAX_ETCD_CONFIG_WARNINGS = 20;

/** Bytes of a token file: servers accept headers of 8 to 64 kB. */
export const MAX_TOKEN_FILE_BYTES = 64 * 1024;

/** Aliases of a YAML file that are resolved: a few lines of them can expand to gigabytes. */
export const MAX_YAML_ALIASES = 32;

/** Characters of a cluster name: it is part of label values and of keys. */
export const MAX_CLUSTER_NAME_LENGTH = 32;

/** Default for the keys of one remote cluster: agents hold 512,000 addresses of all clusters together. */
export const MAX_REMOTE_KEYS = 1_000_000;

/**
 * Default for the bytes of keys and values of one remote cluster: half of etcd's default quota (2 GiB), and the same amount of
 * memory.
 */
export const MAX_REMOTE_BYTES = 1024 * 1024 * 1024;

/**
 * Default for the changes per second of one remote cluster, and its burst. Large clusters change two hundred keys per second; a
 * restart or lost leases can rewrite all keys.
 */
export const MAX_REMOTE_CHANGES_PER_SECOND = 5000;
export const REMOTE_CHANGES_BURST_SECONDS = 200;

/**
 * Clusters whose canaries have their own series in the metrics of an etcd: the members of a mesh, and as many again that are being
 * removed.
 */
export const MAX_CANARY_SCOPES = 1024;

/** Canaries of a remote, and their bytes, that its limits for keys and bytes do not apply to: Cilium writes six of a hundred bytes. */
export const MAX_UNCOUNTED_CANARIES = 64;
export const MAX_UNCOUNTED_CANARY_BYTES = 64 * 1024;

/** Bytes of a remote heartbeat that are compared: it is a timestamp. */
export const MAX_HEARTBEAT_BYTES = 1024;

/** Rejected keys of one kind of one remote that are remembered, to be reported in its status and logged once. */
export const MAX_REFUSED_KEYS = 1000;

/** Keys of one kind of one remote that are mirrored although they differ from their mirrored form in slashes. */
export const MAX_SLASHED_KEYS = 1000;

/** Longest delay before a remote that exceeded a limit is listed again. */
export const REMOTE_STOPPED_RETRY_MS = 60_000;

/** Shortest interval between two listings of a remote; the longest is three times this. */
export const REMOTE_RELIST_MS = 20 * 60_000;

/**
 * Between two reads of cluster configs of remotes, all remotes together: 511 are read every 15 s each, which keeps their staleness
 * below the 30 s of its objective. Every 5 s would be a hundred requests a second.
 */
export const CONFIG_READING_SPACING_MS = 30;

/** Prefixes of all remotes that are listed at the same time, and how long one may delay others. */
export const MAX_CONCURRENT_REMOTE_LISTS = 32;
export const LIST_TURN_MS = 10_000;

/** Longest back-off before a prefix of a remote is listed again whose watches end right after each listing. */
export const RELIST_BACKOFF_MAX_MS = 30_000;

/** Additional delay of the first reconnection attempt for each other remote that is unreachable. */
export const RECONNECT_SPREAD_MS = 20;

/** How often to check whether enough remotes are reachable to withdraw the services of the unreachable ones. */
export const WITHDRAWAL_BRAKE_INTERVAL_MS = 5_000;

/** Findings of one kind about one remote that are tracked, and that are logged one by one; more are only counted. */
export const MAX_FINDINGS = 1000;
export const MAX_LOGGED_FINDINGS = 100;

/** Findings in one response of the API. */
export const MAX_LISTED_FINDINGS = 1000;

/** Addresses of all remotes that are compared (up to 21 bytes each, 50 where they are no IPv4 addresses), and addresses claimed by several remotes. */
export const MAX_GUARDED_ADDRESSES = 4_000_000;
export const MAX_SHARED_ADDRESSES = 100_000;

/** Pod CIDRs that are compared, of one node and of all remotes; nodes of their trie; and overlaps reported for one pod CIDR. */
export const MAX_POD_CIDRS_PER_NODE = 64;
export const MAX_POD_CIDRS = 200_000;
export const MAX_POD_CIDR_TRIE_NODES = 2_000_000;
export const MAX_OVERLAPS_PER_POD_CIDR = 16;

/** Bytes of the pod CIDR list of a node's value. */
export const MAX_POD_CIDR_BYTES = 16 * 1024;

/** Bytes of a response of the status API, and the timeout of the debugging command: 511 clusters take 500 kB. */
export const MAX_STATUS_BYTES = 8 * 1024 * 1024;
export const STATUS_TIMEOUT_MS = 30_000;

/** Characters shown of one text of a status: a reason may quote a remote. */
export const MAX_STATUS_TEXT_LENGTH = 2000;

/** Characters of a remote's export mode that are shown and logged; the longest known mode has 27. */
export const MAX_EXPORT_MODE_LENGTH = 64;

/** Characters of a path given with `-o jsonpath=`, and the depth to which `..` descends. */
export const MAX_JSON_PATH_LENGTH = 4096;
export const MAX_JSON_PATH_DEPTH = 64;

/** Consecutive elements of a parsed certificate: certificates have a few dozen. */
export const MAX_DER_ELEMENTS = 10_000;

/** Certificates of one file: CA bundles have some 150. */
export const MAX_CERTIFICATES_PER_FILE = 500;

/** Certificates of a server that are checked. */
export const MAX_PRESENTED_CERTIFICATES = 10;

/** Bytes read of a response to `GET /version`: etcd's has a hundred. */
export const MAX_VERSION_ANSWER_BYTES = 8 * 1024;

/** Bytes of a file with certificates or a key: CA bundles have a quarter of a megabyte. */
export const MAX_PEM_FILE_BYTES = 4 * 1024 * 1024;

/** Etcds that are checked at the same time: each may take its whole timeout. */
export const MAX_CONCURRENT_CHECKS = 16;

/** Remotes that the doctor checks at the same time: most respond within a tenth of a second. */
export const MAX_DOCTOR_CHECKS = 128;

/** What the doctor waits for remotes beyond the time of one: those that did not begin in time are reported as not checked. */
export const DOCTOR_GRACE_MS = 500;

/** Interval at which a daemon reads the status of its etcd and looks for problems to log. */
export const SELF_CHECK_MS = 3_000;

/** Bytes of the metrics of an etcd: they have a hundred kilobytes. */
export const MAX_ETCD_METRICS_BYTES = 4 * 1024 * 1024;

/** Clocks that differ by more are reported: new certificates are valid five minutes early, and heartbeats are due every minute. */
export const MAX_CLOCK_SKEW_MS = 60_000;

/** A heartbeat that is older was not written twice in a row. */
export const MAX_HEARTBEAT_AGE_MS = 150_000;

/** Share of the quota of etcd from which the database is reported. */
export const ETCD_QUOTA_WARNING = 0.8;

/** Watchers of an etcd from which they are reported: a thousand nodes that watch the kinds of eight clusters have as many. */
export const MAX_ETCD_WATCHERS = 50_000;

/** How long before its expiry `troubleshoot` warns of a certificate. */
export const EXPIRY_WARNING_MS = 30 * 24 * 3_600_000;

/** Age at which an etcd token is renewed: less than half of the five minutes after which etcd drops it. */
export const AUTH_TOKEN_RENEWAL_MS = 120_000;

/** Shortest interval between two password authentications with an etcd. */
export const AUTH_RETRY_MS = 1_000;

/**
 * Attempts of a request that etcd rejects because users changed, and the longest pause between them: adding or removing a cluster
 * takes a few changes.
 */
export const MAX_AUTH_REVISION_ATTEMPTS = 12;
export const AUTH_REVISION_PAUSE_MS = 200;

/** Characters of etcd's output that are kept during its initialization. */
export const MAX_ETCD_OUTPUT_CHARACTERS = 8 * 1024;

/** How long an etcd that failed to initialize may take to stop before it is killed. */
export const ETCDINIT_STOP_TIMEOUT_MS = 3_000;

/** Bytes of the users file: 511 clusters take 30 kB. */
export const MAX_USERS_FILE_BYTES = 128 * 1024;

/** How often the users file is read without a change in its directory. */
export const USERS_FILE_POLL_MS = 5_000;

/** Back-off for synchronizing the users of etcd with the users file. */
export const USERS_RETRY_MIN_MS = 1_000;
export const USERS_RETRY_MAX_MS = 30_000;

/** How often the users of etcd are compared with the users file without a known change. */
export const USERS_AUDIT_INTERVAL_MS = 5 * 60_000;

/** Users of etcd named in one log line. */
export const MAX_LOGGED_USERS = 20;

/** Characters of one line of the health server's response. */
export const MAX_HEALTH_TEXT_LENGTH = 500;

/** How long before its expiry the health server reports a certificate in use. */
export const HEALTH_EXPIRY_MS = 7 * 24 * 3_600_000;

/** Log lines per cause within a time window; more are only counted. And the number of causes that are distinguished. */
export const MAX_LOG_LINES_PER_CAUSE = 20;
export const LOG_WINDOW_MS = 60_000;
export const MAX_LOG_CAUSES = 20_000;

/** Attempts to update the ConfigMap of CoreDNS after concurrent changes. */
export const MAX_COREDNS_UPDATE_ATTEMPTS = 5;

/** Attempts to install a CRD of the MCS API, which take about two minutes, and their back-off. */
export const MAX_MCS_API_CRD_ATTEMPTS = 10;
export const MCS_API_CRD_RETRY_MIN_MS = 1_000;
export const MCS_API_CRD_RETRY_MAX_MS = 30_000;

/** The lowest number that Cilium allocates to an identity; those below are reserved or well known, and have no object. */
export const MIN_ALLOCATED_IDENTITY = 256;

/** How long a selected endpoint waits for the object of its identity, which the agent creates before it. */
export const IDENTITY_PATIENCE_MS = 5_000;
