/*
 * /usr/bin/clustermesh-apiserver of the image: starts the program with Node and is its PID 1.
 *
 * Node takes about 200 ms to install its handlers, and a signal without a handler does nothing to PID 1. So the program is a
 * child, which an early SIGTERM ends, and this process forwards signals, reaps orphans, and ends with the status of its
 * child: its own, or 128 + n after signal n.
 *
 * The heap of Node gets its limit from that of the cgroup: see heap_limits.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#define NODE "/usr/lib/clustermesh-apiserver/node"
#define PROGRAM "/usr/lib/clustermesh-apiserver/clustermesh-apiserver.js"
/* A file with the limit in bytes, instead of the cgroup's. */
#define LIMIT_FILE_VARIABLE "CLUSTERMESH_MEMORY_LIMIT_FILE"

#define MIB (1024ULL * 1024)
#define NONE (~0ULL)
#define PATH_BYTES 4096
#define EXIT_CANNOT_START 126

/* Of a process without a limit. Five times what a mesh of a million keys needs: docs/reference/image.md has the measurement. */
#define HEAP_WITHOUT_LIMIT (2048 * MIB)
/* What Node needs besides its heap before there is a key: its code, threads, and the buffers of a few connections. */
#define OUTSIDE_OF_HEAP (48 * MIB)
#define LEAST_HEAP (32 * MIB)
/* Node's own default is 16. With 2 a fill takes as much processor time, and an idle process 5 MB less. */
#define MOST_SEMI_SPACE (2 * MIB)

static void fail(const char *what) {
  fprintf(stderr, "clustermesh-apiserver: %s: %s\n", what, strerror(errno));
  _exit(EXIT_CANNOT_START);
}

/* The number in the file. NONE where there is no such file, or no number in it, such as "max". */
static unsigned long long number_in(const char *path) {
  FILE *file = fopen(path, "re");
  if (file == NULL) return NONE;
  char text[32] = "";
  const char *line = fgets(text, sizeof text, file);
  fclose(file);
  if (line == NULL || !isdigit((unsigned char)*line)) return NONE;
  errno = 0;
  unsigned long long number = strtoull(line, NULL, 10);
  return errno == 0 ? number : NONE;
}

static unsigned long long lesser(unsigned long long a, unsigned long long b) { return a < b ? a : b; }

/* The least limit of the group and of all above it. A container sees its own group as the root, or the whole path. */
static unsigned long long limit_in(const char *root, const char *group, const char *name) {
  char path[2 * PATH_BYTES], parent[PATH_BYTES];
  unsigned long long least = NONE;
  snprintf(parent, sizeof parent, "%s", group);
  for (;;) {
    size_t length = strlen(parent);
    if (length > 0 && parent[length - 1] == '/') parent[length - 1] = '\0';
    snprintf(path, sizeof path, "%s%s/%s", root, parent, name);
    least = lesser(least, number_in(path));
    char *last = strrchr(parent, '/');
    if (last == NULL) return least;
    *last = '\0';
  }
}

/* In bytes; NONE where there is no limit. Version 1 writes a number above any memory for that. */
static unsigned long long memory_limit(void) {
  const char *given = getenv(LIMIT_FILE_VARIABLE);
  if (given != NULL && *given != '\0') return number_in(given);
  unsigned long long least = NONE;
  FILE *groups = fopen("/proc/self/cgroup", "re");
  if (groups == NULL) return NONE;
  char line[PATH_BYTES];
  while (fgets(line, sizeof line, groups) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (group == NULL) continue;
    *controllers++ = '\0';
    *group++ = '\0';
    if (*controllers == '\0') least = lesser(least, limit_in("/sys/fs/cgroup", group, "memory.max"));
    if (strcmp(controllers, "memory") == 0) least = lesser(least, limit_in("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
  }
  fclose(groups);
  return least;
}

static unsigned long long physical_memory(void) {
  struct sysinfo info;
  return sysinfo(&info) == 0 ? (unsigned long long)info.totalram * info.mem_unit : NONE;
}

/*
 * The old space gets half of what is left beside Node itself: keys and objects are there, but the values of keys and the
 * messages of etcd are outside of the heap. Without a limit it gets a quarter of the node's memory, as Node would give it,
 * but never more than HEAP_WITHOUT_LIMIT.
 */
static void heap_limits(unsigned long long *old_space, unsigned long long *semi_space) {
  unsigned long long physical = physical_memory(), limit = memory_limit();
  if (limit >= physical) {
    *old_space = lesser(HEAP_WITHOUT_LIMIT, physical / 4);
    *semi_space = MOST_SEMI_SPACE;
    return;
  }
  *old_space = limit < OUTSIDE_OF_HEAP ? 0 : (limit - OUTSIDE_OF_HEAP) / 2;
  if (*old_space < LEAST_HEAP) *old_space = LEAST_HEAP;
  *semi_space = lesser(limit / 64, MOST_SEMI_SPACE);
  if (*semi_space < MIB) *semi_space = MIB;
}

/* Whether NODE_OPTIONS has the option, with dashes or underscores. Otherwise an argument would win over it. */
static int is_in_node_options(const char *option) {
  const char *options = getenv("NODE_OPTIONS");
  if (options == NULL) return 0;
  for (const char *start = options; *start != '\0'; start++) {
    size_t length = 0;
    while (option[length] != '\0' && (start[length] == option[length] || (option[length] == '-' && start[length] == '_'))) length++;
    if (option[length] == '\0') return 1;
  }
  return 0;
}

/*
 * Messages of etcd are 16 kB to a few MB and short-lived. By default malloc of glibc soon keeps freed blocks of that size for itself, in
 * as many arenas as there are threads, and places longer-lived ones between them; mapped one by one they go back to the kernel.
 */
static void give_memory_back(void) {
  setenv("MALLOC_ARENA_MAX", "1", 0);
  setenv("MALLOC_MMAP_THRESHOLD_", "32768", 0);
  setenv("MALLOC_TRIM_THRESHOLD_", "131072", 0);
}

static void run_program(int argc, char **argv) {
  give_memory_back();
  char old_space_option[64], semi_space_option[64];
  char **arguments = calloc((size_t)argc + 6, sizeof *arguments);
  if (arguments == NULL) fail("no memory");
  unsigned long long old_space, semi_space;
  heap_limits(&old_space, &semi_space);
  snprintf(old_space_option, sizeof old_space_option, "--max-old-space-size=%llu", old_space / MIB);
  snprintf(semi_space_option, sizeof semi_space_option, "--max-semi-space-size=%llu", semi_space / MIB);
  int count = 0;
  arguments[count++] = argv[0];
  /* Otherwise SIGUSR1 opens a port for debuggers. */
  arguments[count++] = "--disable-sigusr1";
  if (!is_in_node_options("max-old-space-size") && !is_in_node_options("max-heap-size")) arguments[count++] = old_space_option;
  if (!is_in_node_options("max-semi-space-size")) arguments[count++] = semi_space_option;
  arguments[count++] = PROGRAM;
  for (int index = 1; index < argc; index++) arguments[count++] = argv[index];
  execv(NODE, arguments);
  fail(NODE);
}

/* With a terminal the child is in the foreground by itself, so that Ctrl-C reaches it once. All signals are blocked here. */
static void take_terminal(void) {
  if (!isatty(STDIN_FILENO)) return;
  setpgid(0, 0);
  tcsetpgrp(STDIN_FILENO, getpid());
}

static int status_of(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/* Reaps whatever has ended. Returns the status of `program` once it is among that, otherwise -1. */
static int reap(pid_t program) {
  int wait_status, status = -1;
  for (;;) {
    pid_t ended = waitpid(-1, &wait_status, WNOHANG);
    if (ended <= 0) return status;
    if (ended == program) status = status_of(wait_status);
  }
}

int main(int argc, char **argv) {
  /* Those that a fault in this process raises stay as they are. */
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
  sigset_t awaited, inherited;
  sigfillset(&awaited);
  for (size_t index = 0; index < sizeof faults / sizeof *faults; index++) sigdelset(&awaited, faults[index]);
  /* First of all: a blocked signal waits, also for PID 1. */
  if (sigprocmask(SIG_SETMASK, &awaited, &inherited) != 0) fail("sigprocmask");
  /* An ignored SIGCHLD would have the kernel reap the child, status and all. */
  signal(SIGCHLD, SIG_DFL);

  pid_t self = getpid(), program = fork();
  if (program < 0) fail("fork");
  if (program == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != self) _exit(EXIT_CANNOT_START);
    take_terminal();
    sigprocmask(SIG_SETMASK, &inherited, NULL);
    run_program(argc, argv);
  }
  for (;;) {
    int number = sigwaitinfo(&awaited, NULL);
    if (number < 0) continue;
    if (number != SIGCHLD) {
      kill(program, number);
      continue;
    }
    int status = reap(program);
    if (status >= 0) return status;
  }
}
