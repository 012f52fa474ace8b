"""A child process that may only compute: it opens no file and no socket, and starts no program.

The Linux kernel enforces that twice. Landlock denies files, TCP, and signals to other processes; seccomp, through the
system's libseccomp, answers every system call that computing does not need with EPERM. If one is missing, the other
still applies. On other systems only memory and processor time are limited.
"""

import ctypes
import errno
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: What `restrict_this_process` can apply.
LANDLOCK, SECCOMP = "landlock", "seccomp"

#: System calls allowed with any arguments: memory, threads, time, and descriptors that are already open.
_ALLOWED = (
    *("read", "readv", "write", "writev", "recvfrom", "sendto", "poll", "ppoll", "select", "pselect6", "lseek"),
    *("fstat", "close"),
    *("brk", "mprotect", "munmap", "mremap", "madvise"),  # for code too: soundfile's cffi writes callbacks
    *("futex", "set_robust_list", "rseq", "membarrier", "sched_yield", "sched_getaffinity", "getcpu"),
    *("getpid", "gettid", "getrusage", "sysinfo", "uname", "getrandom"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"),
    *("exit", "exit_group"),
)
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
_CLONE_THREAD, _PR_SET_NAME, _PR_SET_NO_NEW_PRIVS, _MAP_SHARED = 0x10000, 15, 38, 1


def start_child(module: str, channel: socket.socket) -> subprocess.Popen[bytes]:
    """Start a module of this project in a process with an empty environment and only a socket open.

    Parameters
    ----------
    module : str
        Run as `python -m`. The socket is its descriptor 0. It must import what it needs and call
        `restrict_this_process` before it looks at any input.
    """
    # Two variables are needed and not secret: the path of Python's libraries on some clusters, and the number of BLAS
    # threads, because threads that exist before the restrictions escape Landlock.
    libraries = {name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"}
    return subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=libraries | {"OPENBLAS_NUM_THREADS": "1"},
        stdin=channel,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # libraries report every damaged frame there
    )


def restrict_this_process(*, memory_bytes: int, cpu_s: float) -> tuple[str, ...]:
    """Give up everything but computing and open descriptors, irrevocably.

    Nothing can be imported afterwards, so import everything first, including what libraries import on first use, such
    as `numpy.random`. Threads may start afterwards, but none should run before: Landlock does not reach them, only
    seccomp does.

    Parameters
    ----------
    memory_bytes : int
        Limit of private memory, including thread stacks.
    cpu_s : float
        Limit of processor time from now on, after which the process is killed. See `allow_cpu`.

    Returns
    -------
    applied : tuple of {"landlock", "seccomp"}
        What the kernel enforces in addition to the limits.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    allow_cpu(cpu_s)
    if sys.platform != "linux":
        return ()
    libseccomp = _libseccomp()  # Landlock would not let it be opened
    _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    applied = {LANDLOCK: _apply_landlock(), SECCOMP: libseccomp is not None and _apply_seccomp(libseccomp)}
    return tuple(name for name in applied if applied[name])


def allow_cpu(seconds: float) -> None:
    """Allow this much processor time from now on; possible in a restricted process too."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit_s = round(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    """`struct landlock_ruleset_attr`."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scope", ctypes.c_uint64))


def _landlock_abi() -> int:
    """Return the kernel's version of Landlock, or less than 1 if it has none."""
    version_only = 1
    return _libc().syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), version_only)


def _apply_landlock() -> bool:
    """Deny every access that this kernel's Landlock covers: a ruleset without rules."""
    abi, syscall = _landlock_abi(), _libc().syscall
    if abi < 1:
        return False
    rights = 13 + (abi >= 2) + (abi >= 3) + (abi >= 5)  # REFER, TRUNCATE and IOCTL_DEV came later
    ruleset = _Ruleset(2**rights - 1, 0b11 if abi >= 4 else 0, 0b11 if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    descriptor = syscall(_LANDLOCK_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0)
    if descriptor < 0:
        return False
    restricted = syscall(_LANDLOCK_RESTRICT_SELF, descriptor, 0) == 0
    os.close(descriptor)
    return restricted


class _Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp`: the argument with this index, masked, equals this value."""

    _fields_ = (
        ("index", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


def _libseccomp() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    return library


def _apply_seccomp(library: ctypes.CDLL) -> bool:
    """Allow the system calls in `_ALLOWED`, and some others with harmless arguments, in all threads."""
    allow, fail, masked_equal, all_threads = 0x7FFF0000, 0x00050000, 7, 4
    filter_ = ctypes.c_void_p(library.seccomp_init(fail | errno.EPERM))
    if not filter_:
        return False

    def add(action: int, name: str, *comparison: int) -> int:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # this architecture does not have it
            return 0
        index, mask, value = comparison or (0, 0, 0)
        argument = _Comparison(index, masked_equal, mask, value)
        return library.seccomp_rule_add_array(filter_, action, number, bool(comparison), ctypes.byref(argument))

    all_bits = 2**32 - 1
    failed = [add(allow, name) for name in _ALLOWED]
    failed += [
        add(allow, "mmap", 3, _MAP_SHARED, 0),  # the memory limit does not count shared memory
        add(allow, "clone", 0, _CLONE_THREAD, _CLONE_THREAD),
        add(fail | errno.ENOSYS, "clone3"),  # its flags cannot be inspected; glibc then falls back to clone
        add(allow, "prctl", 0, all_bits, _PR_SET_NAME),
        add(allow, "prlimit64", 0, all_bits, 0),
        add(allow, "tgkill", 0, all_bits, os.getpid()),  # abort
        library.seccomp_attr_set(filter_, all_threads, 1),
    ]
    applied = not any(failed) and library.seccomp_load(filter_) == 0
    library.seccomp_release(filter_)
    return applied
