"""Facts about the machine, to be printed with every figure.

python machine.py
"""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

#: Instruction sets worth a word, in the order they are told.
FLAGS = (
    "avx2", "fma", "f16c", "avx512f", "avx512dq", "avx512bw", "avx512vl",
    "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "asimdhp", "sve",
)  # fmt: skip


def _cpuinfo() -> dict[str, str]:
    """The first processor's block of /proc/cpuinfo."""
    try:
        block = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _quota() -> float | None:
    """CPUs the cgroup allows (v2, then v1); None where there is no limit."""
    try:
        most, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if most == "max" else int(most) / int(period)
    except (OSError, ValueError):
        pass
    folder = Path("/sys/fs/cgroup/cpu")
    try:
        most_us = int((folder / "cpu.cfs_quota_us").read_text())
        period_us = int((folder / "cpu.cfs_period_us").read_text())
        return most_us / period_us if most_us > 0 else None
    except (OSError, ValueError):
        return None


def _caches() -> dict[str, str]:
    """Sizes of the first processor's caches, `{"L1d": "48K", …}`."""
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level = (index / "level").read_text().strip()
            kind = (index / "type").read_text().strip()
            size = (index / "size").read_text().strip()
        except OSError:
            continue
        found[f"L{level}{'' if kind == 'Unified' else kind[0].lower()}"] = size
    return found


def _jiffies() -> tuple[int, int]:
    """Total and idle time of all processors since boot."""
    head = Path("/proc/stat").read_text().split("\n", 1)[0]
    values = [int(word) for word in head.split()[1:9]]
    return sum(values), values[3] + values[4]


def busy_elsewhere(seconds: float = 0.3) -> float | None:
    """CPUs kept busy by others, or stolen by the host, while we wait.

    Asked between workloads, when every side waits for a command: anything well above 0
    spoils the figures, and not evenly: with one core taken of two, PyTorch's OpenMP
    barriers made a step 20 times slower where others lost half.
    """
    try:
        total, idle = _jiffies()
        time.sleep(seconds)
        total_after, idle_after = _jiffies()
    except (OSError, ValueError, IndexError):
        return None
    passed = max(1, total_after - total)
    share = 1 - (idle_after - idle) / passed
    return round(max(0.0, share) * (os.cpu_count() or 1), 2)


def facts() -> dict[str, Any]:
    """Everything that can be read without measuring."""
    info = _cpuinfo()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    model = info.get("model name") or platform.processor() or platform.machine()
    family, number = info.get("cpu family"), info.get("model")
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cpu": model + (f" (family {family}, model {number})" if family else ""),
        "isa": [flag for flag in FLAGS if flag in flags],
        "virtual": "hypervisor" in flags,
        "cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)),
        "cpu_quota": _quota(),
        "caches": _caches(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


if __name__ == "__main__":
    print(json.dumps(facts(), indent=2))
