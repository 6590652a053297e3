"""What the scanning process gives up before it reads a byte of a file: memory, time, files, programs, the network.

Linux only. The filter lets through what a computing process needs (reading and writing what is open, memory,
ending) and answers everything else with EPERM: no file can be opened, no socket made, no program or process
started. Where the kernel takes no filter, a network namespace of its own is what is asked for instead.
"""

from __future__ import annotations

import ctypes
import errno
import resource
import signal
import struct
import sys

MIB = 1024 * 1024
MEMORY = 1024 * MIB
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
FILTER = 2
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000

# read write close fstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64
# sched_yield mremap madvise getpid exit gettimeofday getrusage sigaltstack futex restart_syscall clock_gettime
# clock_nanosleep exit_group set_robust_list getrandom membarrier rseq
X86_64 = (0, 1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 24, 25, 28, 39, 60, 96, 98, 131, 202, 219, 228, 230, 231,
          273, 318, 324, 334)  # fmt: skip
AARCH64 = (63, 64, 57, 80, 73, 62, 222, 226, 215, 214, 134, 135, 139, 67, 124, 216, 233, 172, 93, 169, 165, 132, 98,
           128, 113, 115, 94, 99, 278, 283, 293)  # fmt: skip
ARCHITECTURES = {"x86_64": (0xC000003E, X86_64), "aarch64": (0xC00000B7, AARCH64)}
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM


def limit(cpu_seconds: int) -> None:
    """Bound memory and time; no files written, none more opened, no processes, no core dump."""
    # The soft limit ends the process by a signal that says why; the hard one, later, by one that does not.
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 3),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def shut_out(machine: str) -> str:
    """Give up the network and the rest of the system, for good. Returns how ("filter", "namespace"), or ""."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return ""
    apart = libc.unshare(CLONE_NEWNET) == 0 or libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0
    if machine in ARCHITECTURES and sys.byteorder == "little" and _filter(libc, *ARCHITECTURES[machine]):
        return "filter"
    return "namespace" if apart else ""


def _filter(libc: ctypes.CDLL, architecture: int, calls: tuple[int, ...]) -> bool:
    steps = [(LOAD, 0, 0, 4), (JUMP_EQUAL, 1, 0, architecture), (RETURN, 0, 0, REFUSE), (LOAD, 0, 0, 0)]
    steps += [(JUMP_EQUAL, len(calls) - place, 0, call) for place, call in enumerate(calls)]
    steps += [(RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]
    program = b"".join(struct.pack("<HBBI", *step) for step in steps)
    held = ctypes.create_string_buffer(program, len(program))
    told = struct.pack("@HP", len(steps), ctypes.addressof(held))
    return bool(libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.c_char_p(told), 0, 0) == 0)
