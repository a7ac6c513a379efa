"""Child processes of the benchmark: workers that answer JSON, and whole programs."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).resolve().parent

#: Removed from every side's environment, so that each starts with its own defaults.
UNSET = ("OPENBLAS_", "OMP_", "MKL_", "GOMP_", "KMP_", "XLA_FLAGS", "ONEDNN_", "TF_",
         "RANVIER_ISA", "RANVIER_THREADS", "RANVIER_VERBOSE",
         "PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME")  # fmt: skip

#: How each library is told to stay below AVX-512.
AVX2 = {
    "RANVIER_ISA": "avx2",
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX",
}

#: Variables of the ranvier sides other than the plain one.
VARIANTS = {
    "avx2": {"RANVIER_ISA": "avx2"},
    "1t": {"RANVIER_THREADS": "1"},
    "2t": {"RANVIER_THREADS": "2"},
}


class SideError(Exception):
    """A side could not do what it was asked; the benchmark goes on without it."""


def is_ours(side: str) -> bool:
    """Whether `side` is ranvier, in any variant."""
    return side.partition("@")[0] == "ranvier"


def environment(side: str, avx2: bool = False) -> dict[str, str]:
    """The environment of `side`."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(UNSET)}
    env |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    env |= {"TF_CPP_MIN_LOG_LEVEL": "3"}
    # The peers' interpreter must not see what PYTHONPATH shows to ours, and ours starts
    # in another folder.
    path = env.pop("PYTHONPATH", "")
    if path and is_ours(side):
        env["PYTHONPATH"] = os.pathsep.join(
            str(Path(part).absolute()) for part in path.split(os.pathsep) if part
        )
    if side.startswith("keras-"):
        backend = side.split("-")[1]
        env["KERAS_BACKEND"] = {"tf": "tensorflow"}.get(backend, backend)
    if avx2:
        env |= AVX2
        if is_ours(side):
            # Only the core is capped; NumPy may do what it likes on our side.
            del env["NPY_DISABLE_CPU_FEATURES"]
    variant = side.partition("@")[2]
    return env | (VARIANTS[variant] if variant else {})


class Worker:
    """One side's process (see worker.py)."""

    def __init__(
        self, side: str, python: str, log: IO[str], timeout: float, avx2: bool = False
    ) -> None:
        self.side, self.timeout = side, timeout
        self.process = subprocess.Popen(
            [python, str(HERE / "worker.py"), side],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(side, avx2),
            cwd=HERE,
        )
        self.buffer = b""
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Sends one command and waits for its answer.

        Raises:
            SideError: the worker reports an error, dies, or is silent too long (it is
                then ended).
        """
        line = json.dumps({"do": do, **arguments}).encode() + b"\n"
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except OSError as error:
            raise SideError("its process has ended") from error
        end = time.monotonic() + self.timeout
        while b"\n" not in self.buffer:
            if not self.selector.select(max(0.0, end - time.monotonic())):
                self.close()
                raise SideError(f"no answer within {self.timeout:.0f} s")
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                code = self.process.wait()
                raise SideError(f"its process ended with status {code}")
            self.buffer += piece
        answer, _, self.buffer = self.buffer.partition(b"\n")
        reply = json.loads(answer)
        if "error" in reply:
            raise SideError(reply["error"])
        return reply

    def close(self) -> None:
        """Ends the process."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.selector.close()
        self.process.stdin.close()
        self.process.stdout.close()


def run_program(
    path: Path, side: str, python: str, timeout: float, avx2: bool = False
) -> float:
    """Seconds of a whole process running `path`, from spawn to exit."""
    env = environment(side, avx2)
    start = time.perf_counter()
    done = subprocess.run(
        [python, str(path)], env=env, capture_output=True, timeout=timeout, cwd=HERE
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()
        raise SideError(last[-1][:300] if last else f"status {done.returncode}")
    return seconds


def run_json(module: str, extra: dict[str, str], timeout: float) -> Any:
    """What a module of claims prints (JSON on its last line), in our interpreter."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        env=environment("ranvier") | extra,
        capture_output=True,
        timeout=timeout,
        cwd=HERE,
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()
        raise SideError(last[-1][:300] if last else f"status {done.returncode}")
    return json.loads(done.stdout.decode().strip().splitlines()[-1])
