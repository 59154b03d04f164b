"""The machine under the benchmark: which core is whose, and what a process has used of it."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cores() -> tuple[list[int], list[int]]:
    """(the gateway's one core, the cores of everything else). On one core they are the same, and figures mean little."""
    mine = sorted(os.sched_getaffinity(0))
    return mine[:1], mine[1:2] or mine[:1]


def pinned(command: list[str], to: list[int]) -> list[str]:
    """The command, bound to some cores with all that it starts."""
    return ["taskset", "--cpu-list", ",".join(map(str, to)), *command]


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents = dict[int, int]()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents[int(entry.name)] = int(fields[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants so far; steps of 1/100 s."""
    return sum((int(fields[11]) + int(fields[12])) / _TICKS for one in family(pid) if (fields := _stat(one)))


def busy_seconds() -> float:
    """CPU time that all processes of the machine have used since it started, over all cores; stolen time is in it."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS


def own_seconds() -> float:
    """CPU time of this process, of what it has started and awaited, and of what it has started that still runs."""
    times = os.times()
    awaited = times.children_user + times.children_system
    return cpu_seconds(os.getpid()) + awaited


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its descendants, in 2^20 bytes."""
    return sum(int(fields[21]) * _PAGE / 2**20 for one in family(pid) if (fields := _stat(one)))


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third (state) on; [] if it has ended. The second may contain spaces."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
