/**
 * Bounds of the program, except those of the Kubernetes client: these are in kubernetes/limits.ts.
 *
 * A bound protects somebody: the reader of a value, the etcd that is written to, the memory of this
 * process, or the patience of an operator. Each says whom.
 */

/** Operations of one etcd transaction: etcd's own default for `--max-txn-ops`. */
export const MAX_TXN_OPERATIONS = 128;

/** Bytes of one transaction's keys and values; etcd refuses requests above 1.5 MiB by default. */
export const MAX_TXN_BYTES = 1024 * 1024;

/** Bytes of one value: a single put must stay below etcd's request limit, its key and framing included. */
export const MAX_VALUE_BYTES = 1536 * 1024 - 8 * 1024;

/** Bytes of an endpoint slice, unpacked, that is compared with what etcd holds by its content: 1000 endpoints take a third of it. */
export const MAX_COMPARED_SLICE_BYTES = 1024 * 1024;

/** Bytes of a key. etcd has no limit of its own; Kubernetes names stay far below. */
export const MAX_KEY_BYTES = 8 * 1024;

/** Keys per page of a list, unless `etcd.limit` says otherwise. */
export const DEFAULT_LIST_PAGE = 1000;

/** Bytes of one gRPC message from the local etcd: a catch-up of a watch comes as one message. */
export const MAX_ETCD_MESSAGE_BYTES = 512 * 1024 * 1024;

/**
 * The same of a remote etcd: a catch-up is a thousand transactions at most, 40 MB where they are full of keys. A larger
 * page of a list is asked for in smaller ones, a larger catch-up is replaced by a list.
 */
export const MAX_REMOTE_MESSAGE_BYTES = 64 * 1024 * 1024;

/** Bytes of an answer that is neither a page nor a watch's: users, leases, transactions have some kilobytes. */
export const MAX_SMALL_ANSWER_BYTES = 1024 * 1024;

/** Bytes that all remote etcds together may have sent and that are not dealt with, and how often that is looked at. */
export const MAX_RECEIVED_BYTES = 256 * 1024 * 1024;
export const RECEIVED_BYTES_CHECK_MS = 100;

/** Events of one message: a revision may delete as many keys as there are. They are counted in 20 ms. */
export const MAX_EVENTS_PER_MESSAGE = 1_000_000;

/** Protobuf fields of one key or event: etcd's have ten. */
export const MAX_FIELDS_PER_KEY = 32;

/** Bytes that a part of a divided answer counts at least: an empty one costs as much. */
export const MIN_FRAGMENT_BYTES = 4096;

/** Characters of a text that an etcd sends (a status message, the reason of a cancelled watch) that are read, matched, logged and shown. */
export const MAX_ETCD_TEXT_LENGTH = 1000;

/** Events decoded before the event loop gets a turn. */
export const EVENTS_PER_SLICE = 1000;

/** Deadline of a unary etcd call. */
export const ETCD_CALL_TIMEOUT_MS = 10_000;

/**
 * HTTP/2 ping of an etcd connection, and how much longer it may be silent. A silent link is noticed after their sum, which
 * keeps it below 15 s; etcd closes connections that ping more often than every 5 s.
 */
export const ETCD_KEEPALIVE_TIME_MS = 10_000;
export const ETCD_KEEPALIVE_TIMEOUT_MS = 4_000;

/** Wait between two attempts of a request that an etcd does not answer, or answers with an error. */
export const ETCD_BACKOFF_MIN_MS = 50;
export const ETCD_BACKOFF_MAX_MS = 5_000;

/** Time for a TCP connection to one address of an etcd; and for the TLS handshake and the first frame of HTTP/2 as well. */
export const ETCD_CONNECT_TIMEOUT_MS = 2_000;
export const ETCD_DIAL_TIMEOUT_MS = 5_000;

/** A name is asked for again, and its addresses are dialled again, after so long without a connection; older attempts go on. */
export const ETCD_REDIAL_MS = 750;

/** From one address of a name to the next one, as in RFC 8305. */
export const ETCD_ADDRESS_DELAY_MS = 250;

/** Attempts of one endpoint under way at once; with 8 addresses each they are 48 sockets at most. */
export const MAX_DIAL_ROUNDS = 6;

/** Addresses of one name that are dialled; names of services have one or two for each family. */
export const MAX_DIALLED_ADDRESSES = 8;

/** Wait between two attempts to connect to an etcd. */
export const ETCD_REDIAL_MIN_MS = 50;
export const ETCD_REDIAL_MAX_MS = 500;

/** The same while another endpoint of that etcd is connected. */
export const ETCD_SPARE_REDIAL_MAX_MS = 30_000;

/** Attempts to connect after a failed one, of all remotes together, and for how long of it they may come at once. */
export const ETCD_REDIALS_PER_SECOND = 30;
export const ETCD_REDIAL_BURST_MS = 500;

/** A connection that lasted as long was of use: the next attempt comes at once. */
export const ETCD_USEFUL_CONNECTION_MS = 1_000;

/** Names that are looked up at the same time: each may block one of the four threads of the process that read files, too. */
export const MAX_CONCURRENT_LOOKUPS = 2;

/** Endpoints of one etcd configuration file. */
export const MAX_ETCD_ENDPOINTS = 64;

/** Bytes of a configuration file (etcd YAML, users file). */
export const MAX_CONFIG_FILE_BYTES = 1024 * 1024;

/** How long the question may take whether the process behind a leader lock has ended. */
export const LOCK_PROBE_MS = 1_000;

/** Keys attached to one lease; old etcd slows down with many (etcd issue 15993). */
export const MAX_KEYS_PER_LEASE = 1000;

/** Transactions under way at once over all lanes of a publisher. */
export const MAX_TXNS_IN_FLIGHT = 8;

/** Lanes of one section: a key always belongs to the same lane. */
export const LANES_PER_SECTION = 4;

/** How long a later rank's first load waits for an earlier rank that is still being listed. */
export const LOAD_ORDER_HOLD_MS = 5_000;

/** Shutdown, from the signal to the end of the process. */
export const SHUTDOWN_TIMEOUT_MS = 5_000;

/** Bytes of a remote's cluster config; the field's own stay below 300. */
export const MAX_CLUSTER_CONFIG_BYTES = 64 * 1024;

/** Files of the configuration directory that are taken for clusters: a mesh has at most 511 members. */
export const MAX_REMOTE_CLUSTERS = 511;

/** How long a later rank's first load waits for an earlier rank whose listing has not even begun. */
export const LOAD_ORDER_GRACE_MS = 2_000;

/** How often a publisher asks its etcd for keys that somebody else wrote, and every how many of these audits compares everything. */
export const AUDIT_INTERVAL_MS = 60_000;
export const AUDITS_PER_FULL_AUDIT = 10;

/** Keys that move to a lease of the configured duration, per second: readers receive an event for each. */
export const LEASE_MOVES_PER_SECOND = 1000;

/** Sections whose keys in etcd are listed at the same time. */
export const MAX_CONCURRENT_LOADS = 4;

/** Changes of different keys that are seen while a section is listed in etcd; where there are more it is listed again. */
export const MAX_BUFFERED_TOUCHES = 1_000_000;

/** Work of a publisher on many keys before the event loop gets a turn. */
export const PUBLISHER_SLICE_MS = 5;

/** How often a publisher looks whether memory can be given back. */
export const COMPACTION_INTERVAL_MS = 1_000;

/** Back-off of a publisher whose writes fail. */
export const PUBLISH_BACKOFF_MIN_MS = 50;
export const PUBLISH_BACKOFF_MAX_MS = 10_000;

/** How long a client of our HTTP servers may take to send a request, and be silent. */
export const HTTP_REQUEST_TIMEOUT_MS = 10_000;

/** How long it may take to read the answer, how many connections a server has at once, and how long it works on an answer in one go. */
export const HTTP_ANSWER_TIMEOUT_MS = 30_000;
export const MAX_HTTP_CONNECTIONS = 128;
export const HTTP_SLICE_MS = 5;

/** Bytes of /etc/resolv.conf that are read. */
export const MAX_RESOLV_CONF_BYTES = 64 * 1024;

/** Pages of a list in a row that have no further object: the server goes around in circles. */
export const MAX_FRUITLESS_PAGES = 10;

/** Watches in a row that end early and tell nothing, after which a list is tried: it may be the resource version that does not work. */
export const MAX_FRUITLESS_WATCHES = 5;

/** Objects of one kind whose rejection is remembered, so that each is logged once. */
export const MAX_LOGGED_REJECTIONS = 1000;

/**
 * From the begin of one attempt to mirror a remote cluster to that of the next: 5 s at most while up to 100 are away, then
 * 50 ms for each of them; and the longest one.
 */
export const REMOTE_BACKOFF_MIN_MS = 500;
export const REMOTE_BACKOFF_MAX_MS = 5_000;
export const REMOTE_BACKOFF_MS_PER_LOST = 50;
export const REMOTE_BACKOFF_LONGEST_MS = 30_000;

/** Wait between two attempts to remove the keys of a removed cluster, and how long etcd may take for one prefix of them. */
export const DRAIN_RETRY_MIN_MS = 2_000;
export const DRAIN_RETRY_MAX_MS = 32_000;
export const DRAIN_TIMEOUT_MS = 60_000;

/** How long an etcd may take for one page of a list: pages of big values travel over slow links. */
export const ETCD_LIST_TIMEOUT_MS = 60_000;

/** Bytes on their way to us per stream and per connection; 64 KiB, HTTP/2's default, is 1.3 MB/s over a round trip of 50 ms. */
export const ETCD_FLOW_CONTROL_WINDOW_BYTES = 1024 * 1024;

/** Requests that wait for their turn where `etcd.qps` or `etcd.maxInflight` is given. */
export const MAX_QUEUED_ETCD_REQUESTS = 1000;

/** How often certificate and key files are looked at. */
export const TLS_RELOAD_INTERVAL_MS = 5_000;

/** Bytes of an etcd client file: 64 endpoints are 10 kB, and a YAML parser takes seconds for a megabyte of brackets. */
export const MAX_ETCD_CONFIG_BYTES = 64 * 1024;

/** Warnings about one etcd client file. */
export const MAX_ETCD_CONFIG_WARNINGS = 20;

/** Bytes of a token file: servers take headers of 8 to 64 kB. */
export const MAX_TOKEN_FILE_BYTES = 64 * 1024;

/** Aliases of a YAML file that are followed: a few lines of them can stand for gigabytes. */
export const MAX_YAML_ALIASES = 32;

/** Characters of a cluster's name: it is part of label values and of keys. */
export const MAX_CLUSTER_NAME_LENGTH = 32;

/** Keys of one remote cluster, unless its flag says otherwise: agents hold 512,000 addresses of all clusters together. */
export const MAX_REMOTE_KEYS = 1_000_000;

/** Bytes of one remote's keys and values, likewise: half of what an etcd holds by default (2 GiB), and as much memory of ours. */
export const MAX_REMOTE_BYTES = 1024 * 1024 * 1024;

/**
 * Changes of one remote per second, likewise, and for how many seconds they may be saved up. Large clusters change
 * two hundred keys a second; one that restarts or loses its leases may write all of its keys anew.
 */
export const MAX_REMOTE_CHANGES_PER_SECOND = 5000;
export const REMOTE_CHANGES_BURST_SECONDS = 200;

/** Clusters whose canaries have series of their own in the metrics of an etcd: as many as a mesh has, and as many again that are being removed. */
export const MAX_CANARY_SCOPES = 1024;

/** Bytes of a remote's heartbeat that are compared: it is a time. */
export const MAX_HEARTBEAT_BYTES = 1024;

/** Keys of one kind of one remote whose refusal is remembered, to be told in its state and logged once. */
export const MAX_REFUSED_KEYS = 1000;

/** Keys of one kind of one remote that are mirrored although they differ from their mirrored form in slashes. */
export const MAX_SLASHED_KEYS = 1000;

/** Longest wait before a remote that has exceeded a bound is read again. */
export const REMOTE_STOPPED_RETRY_MS = 60_000;

/** How long a remote is followed by its watches alone, at least; three times that at most. */
export const REMOTE_RELIST_MS = 20 * 60_000;

/** Prefixes of remotes that are listed at the same time, over all remotes, and how long one may keep others waiting. */
export const MAX_CONCURRENT_REMOTE_LISTS = 32;
export const LIST_TURN_MS = 10_000;

/** Longest wait before a prefix of a remote is listed again whose watches end as soon as it was listed. */
export const RELIST_BACKOFF_MAX_MS = 30_000;

/** How much longer, for each other remote that is away, the first attempt to reach one of them again may wait. */
export const RECONNECT_SPREAD_MS = 20;

/** How often it is looked whether enough remotes are heard of again to withdraw the services of those that are not. */
export const WITHDRAWAL_BRAKE_INTERVAL_MS = 5_000;

/** Findings of one kind about one remote that are followed, and of which each is logged; beyond that they are only counted. */
export const MAX_FINDINGS = 1000;
export const MAX_LOGGED_FINDINGS = 100;

/** Findings that one answer of the API lists. */
export const MAX_LISTED_FINDINGS = 1000;

/** Addresses of all remotes that are compared with each other (50 bytes each), and those that several claim. */
export const MAX_GUARDED_ADDRESSES = 4_000_000;
export const MAX_SHARED_ADDRESSES = 100_000;

/** Pod CIDRs that are compared with each other, of one node and of all remotes; their trie; and whom one of them is held against at once. */
export const MAX_POD_CIDRS_PER_NODE = 64;
export const MAX_POD_CIDRS = 200_000;
export const MAX_POD_CIDR_TRIE_NODES = 2_000_000;
export const MAX_OVERLAPS_PER_POD_CIDR = 16;

/** Bytes of the part of a node's value that lists its pod CIDRs. */
export const MAX_POD_CIDR_BYTES = 16 * 1024;

/** Bytes of a remote's values that are taken before the event loop gets a turn: 20 ms each megabyte, where they are made to be slow. */
export const BYTES_PER_SLICE = 2 * 1024 * 1024;

/** Bytes of a status API's answer, and how long the debugging command waits for it: 511 clusters are 500 kB. */
export const MAX_STATUS_BYTES = 8 * 1024 * 1024;
export const STATUS_TIMEOUT_MS = 30_000;

/** Characters of one text of a status that are shown: a reason may quote a remote. */
export const MAX_STATUS_TEXT_LENGTH = 2000;

/** Characters of a remote's export mode that are shown and logged; the longest that is known has 27. */
export const MAX_EXPORT_MODE_LENGTH = 64;

/** Characters of a path given with `-o jsonpath=`, and how deep `..` looks into an answer. */
export const MAX_JSON_PATH_LENGTH = 4096;
export const MAX_JSON_PATH_DEPTH = 64;

/** Elements in a row, of a certificate that is looked into: one has a few dozen. */
export const MAX_DER_ELEMENTS = 10_000;

/** Certificates of one file: bundles of authorities have some 150. */
export const MAX_CERTIFICATES_PER_FILE = 500;

/** Certificates of a server that are looked at. */
export const MAX_PRESENTED_CERTIFICATES = 10;

/** Bytes read of an answer to `GET /version`: etcd's has a hundred, whatever else answers may have any. */
export const MAX_VERSION_ANSWER_BYTES = 8 * 1024;

/** Bytes of a file with certificates or a key: bundles of authorities have a quarter of a megabyte. */
export const MAX_PEM_FILE_BYTES = 4 * 1024 * 1024;

/** Etcds that are checked at the same time: each may take its whole timeout. */
export const MAX_CONCURRENT_CHECKS = 16;

/** How long before its end a certificate is warned of. */
export const EXPIRY_WARNING_MS = 30 * 24 * 3_600_000;

/** How long a token of etcd is used before it is renewed: less than half of the time after which etcd forgets one, five minutes. */
export const AUTH_TOKEN_RENEWAL_MS = 120_000;

/** Least time between two passwords that are sent to an etcd. */
export const AUTH_RETRY_MS = 1_000;

/** How often a request is asked that etcd refuses because users changed meanwhile: a peer that is added or removed is a few changes; and the longest pause between. */
export const MAX_AUTH_REVISION_ATTEMPTS = 12;
export const AUTH_REVISION_PAUSE_MS = 200;

/** Characters of an etcd's output that are kept while it is initialised: enough for its last words. */
export const MAX_ETCD_OUTPUT_CHARACTERS = 8 * 1024;

/** How long an etcd that is being initialised may take to end in order when it is of no more use; then it is killed. */
export const ETCDINIT_STOP_TIMEOUT_MS = 3_000;

/** Bytes of the users file: 511 clusters are 30 kB. */
export const MAX_USERS_FILE_BYTES = 128 * 1024;

/** How often the users file is read although nothing happened in its directory. */
export const USERS_FILE_POLL_MS = 5_000;

/** Wait between two attempts to make the users of etcd those of the file. */
export const USERS_RETRY_MIN_MS = 1_000;
export const USERS_RETRY_MAX_MS = 30_000;

/** How often the users of etcd are compared with those of the file although neither is known to have changed. */
export const USERS_AUDIT_INTERVAL_MS = 5 * 60_000;

/** Users of etcd that one log line names. */
export const MAX_LOGGED_USERS = 20;

/** Characters of one line of the health server's answer. */
export const MAX_HEALTH_TEXT_LENGTH = 500;

/** How long before its end a certificate in use is told by the health server. */
export const HEALTH_EXPIRY_MS = 7 * 24 * 3_600_000;

/** Lines of one cause that are logged within a while; what is more is counted. And causes that are told apart. */
export const MAX_LOG_LINES_PER_CAUSE = 20;
export const LOG_WINDOW_MS = 60_000;
export const MAX_LOG_CAUSES = 20_000;

/** How often the ConfigMap of CoreDNS is read again because somebody else has changed it meanwhile. */
export const MAX_COREDNS_UPDATE_ATTEMPTS = 5;

/** How often it is tried to install a CRD of the MCS API, which takes some two minutes, and the wait between two attempts. */
export const MAX_MCS_API_CRD_ATTEMPTS = 10;
export const MCS_API_CRD_RETRY_MIN_MS = 1_000;
export const MCS_API_CRD_RETRY_MAX_MS = 30_000;
