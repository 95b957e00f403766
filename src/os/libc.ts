/**
 * The C library functions that relais calls itself: one table, opened on first use. Nothing else in the
 * program touches FFI for sockets; the safe functions over it are in `socket.ts` and `datagram.ts`.
 *
 * The types are those of Linux on 64-bit machines (x86_64, aarch64), both little-endian, and the
 * constants in `socket.ts` are the kernel's generic ones, which both share.
 *
 * @module
 */

const SYMBOLS = {
  /** `int socket(int domain, int type, int protocol);` socket(2) */
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  /** `int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen);` bind(2) */
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  /** `int getsockname(int sockfd, struct sockaddr *addr, socklen_t *addrlen);` getsockname(2) */
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  /** `int setsockopt(int fd, int level, int name, const void *val, socklen_t len);` setsockopt(2) */
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  /** `int getsockopt(int fd, int level, int name, void *val, socklen_t *len);` getsockopt(2) */
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  /**
   * `ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *dest,
   * socklen_t addrlen);` sendto(2)
   */
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  /** `ssize_t sendmsg(int sockfd, const struct msghdr *msg, int flags);` sendmsg(2) */
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "isize" },
  /**
   * `ssize_t recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *src,
   * socklen_t *addrlen);` recvfrom(2)
   */
  recvfrom: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"], result: "isize" },
  /** `int ioctl(int fd, unsigned long request, ...);` ioctl(2), with a pointer as its argument */
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  /** `int adjtimex(struct timex *buf);` adjtimex(2) */
  adjtimex: { parameters: ["buffer"], result: "i32" },
  /** `int clock_gettime(clockid_t clk_id, struct timespec *tp);` clock_gettime(2) */
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  /** `int open(const char *pathname, int flags, mode_t mode);` open(2) */
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  /** `int flock(int fd, int operation);` flock(2) */
  flock: { parameters: ["i32", "i32"], result: "i32" },
  /** `int close(int fd);` close(2) */
  close: { parameters: ["i32"], result: "i32" },
  /** `int eventfd(unsigned int initval, int flags);` eventfd(2) */
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  /** `ssize_t read(int fd, void *buf, size_t count);` read(2) */
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  /** `ssize_t write(int fd, const void *buf, size_t count);` write(2) */
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  /**
   * `int poll(struct pollfd *fds, nfds_t nfds, int timeout);` poll(2), on a thread of its own: errno
   * can't be read after it, because errno belongs to that thread.
   */
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  /** `int seteuid(uid_t euid);` seteuid(2); glibc changes every thread of the process */
  seteuid: { parameters: ["u32"], result: "i32" },
  /** `int *__errno_location(void);` errno(3): the calling thread's errno. */
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of {@linkcode libc}. */
export type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

let opened: { readonly symbols: Libc; readonly errno: Deno.UnsafePointerView } | null = null;

function open(): NonNullable<typeof opened> {
  if (opened !== null) return opened;
  let symbols: Libc;
  try {
    symbols = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  } catch (cause) {
    throw new Error(
      "Cannot open libc.so.6 as raw sockets need the GNU C library through FFI: run on Debian (glibc) with --allow-ffi",
      { cause },
    );
  }
  const location = symbols.__errno_location();
  if (location === null) throw new Error("Cannot find errno as __errno_location() returned NULL");
  return opened = { symbols, errno: new Deno.UnsafePointerView(location) };
}

/**
 * The C library, opened at the first call and never closed.
 *
 * @throws {Error} when it can't be opened (not a glibc system, no FFI permission)
 */
export function libc(): Libc {
  return open().symbols;
}

/**
 * errno of this thread. Means something only directly after a *synchronous* call of
 * {@linkcode libc} that failed.
 */
export function lastErrno(): number {
  return open().errno.getInt32();
}
