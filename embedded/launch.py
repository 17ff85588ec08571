"""Becomes another program, after arranging that it dies with its supervisor and, for root, runs as a lesser account.

Run as a script (`python -I -S launch.py OPTIONS -- PROGRAM ARGUMENTS`), never imported: it replaces itself by the
program, which so keeps its process id. A `preexec_fn` would do the same but is unsafe in a process with threads.
"""

import argparse
import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1


def die_with_parent(parent: int, death_signal: int) -> None:
    """Asks Linux to send `death_signal` to this process when `parent` dies, however it dies."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:  # it died before the request: the signal will never come
        os.kill(os.getpid(), signal.SIGKILL)


def become(account: str, must_reach: list[str]) -> None:
    """Drops root for `account`, keeping only the right to pass folders that the account could not.

    That right (CAP_DAC_OVERRIDE) is kept only where one of `must_reach` lies below a closed folder, such as a home: the
    alternative would be to open that folder to everyone.
    """
    entry = pwd.getpwnam(account)
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform.startswith("linux"):
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if all(os.access(path, os.X_OK) for path in must_reach):
        _keep_capabilities(libc, 0)
    elif not _keep_capabilities(libc, 1 << CAP_DAC_OVERRIDE):
        raise SystemExit(
            f"{must_reach[0]} must run as the account {account} (it refuses to run as root), which cannot reach "
            f"{' and '.join(must_reach)}: choose a state folder that every account can enter, or run as another user."
        )


def _keep_capabilities(libc: ctypes.CDLL, wanted: int) -> bool:
    """Reduces this process's capabilities to the bits in `wanted`, which its program inherits; False if refused."""
    if not sys.platform.startswith("linux"):
        return wanted == 0
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    # Two sets of (effective, permitted, inheritable), for the capabilities 0 to 31 and 32 to 63.
    sets = (ctypes.c_uint32 * 6)(wanted, wanted, wanted, 0, 0, 0)
    if libc.capset(header, sets) != 0:
        return False
    return wanted == 0 or libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0) == 0


def main() -> None:
    """Parses the options and becomes the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--death-signal", type=int, required=True)
    parser.add_argument("--account")
    parser.add_argument("--reach", action="append", default=[])
    parser.add_argument("argv", nargs="+")
    options = parser.parse_args()
    if options.account:
        become(options.account, [options.argv[0], *options.reach])
    # After the change of account, which clears the request.
    die_with_parent(options.parent, options.death_signal)
    os.execvp(options.argv[0], options.argv)  # noqa: S606  # replacing itself is what this script is for


if __name__ == "__main__":
    main()
