"""What machine this is, and which commit: the head of every table of results."""

import os
import pathlib
import platform
import subprocess

REPO = pathlib.Path(__file__).resolve().parent.parent.parent
# Flags that decide how fast an engine can be; the rest of /proc/cpuinfo is left out.
ISA_PREFIXES = ("avx", "amx", "fma", "f16c", "asimd", "sve", "bf16", "i8mm")


def field_of(path: str, name: str) -> str:
    """The first value of `name : value` in a file of /proc; "" when there is none."""
    for line in pathlib.Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def cpu_flags() -> list[str]:
    return (field_of("/proc/cpuinfo", "flags") or field_of("/proc/cpuinfo", "Features")).split()


def has_amx() -> bool:
    return "amx_int8" in cpu_flags()


def commit() -> str:
    """The commit that is checked out; "-dirty" where tracked files differ from it."""
    command = ["git", "-C", str(REPO), "describe", "--always", "--dirty", "--abbrev=12"]
    answer = subprocess.run(command, capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"


def machine() -> dict:
    kib = int(field_of("/proc/meminfo", "MemTotal").split()[0])
    return {
        "cpu": field_of("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "isa": sorted(flag for flag in cpu_flags() if flag.startswith(ISA_PREFIXES)),
        "memory_gib": round(kib / 2**20, 1),
        "kernel": platform.release(),
        "load_average_at_start": os.getloadavg()[0],
    }
