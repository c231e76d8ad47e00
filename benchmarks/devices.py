"""Sums of all pairs on a GPU: sknw with arrays of torch, JAX and CuPy, beside what torch has, and a build before.

``python benchmarks/devices.py --base FOLDER`` prints a table, each line as soon as it is known. It needs one of the
libraries, in its build for the GPU, and array-api-compat. Where there is no GPU of NVIDIA, it says so, and what would
run on one runs on the processor, on so few samples that only the errors tell anything. Each library has a process and
a limit of its own, so that one that fails takes nothing with it. References are in long doubles.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path

# Before scikit-learn and JAX are imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
# What KeOps compiles is kept here, not with that of its other users.
os.environ.setdefault("KEOPS_CACHE_FOLDER", str(Path("build", "keops").resolve()))

import numpy as np
from report import head, header, line

N_THREADS = os.cpu_count() or 1
FEATURES, SEARCHED_FEATURES = 8, 5
OFFSETS = (0.0, 100.0, 1e4)
N_RANDOM, N_OUTERMOST = 1000, 100
# A distance that many features all have; and Scott's rule, at which hardly any key is in reach of the outermost.
BANDWIDTHS = {"wide": np.sqrt(FEATURES) / 2, "narrow": None}
# The most that an error may be, in standard deviations of y.
LIMITS = {"float32": 1e-6, "float64": 1e-14}
COLUMNS = (
    "library",
    "what",
    "dtype",
    "first, s",
    "then, ms",
    "error, random",
    "error, outermost",
    "peak, MB",
    "remark",
    "took, s",
)


def row(library, what, dtype="", first="", then="", errors=("", ""), peak="", remark="", took=0.0):
    """Print a line of the table."""
    then = f"{1e3 * then:.1f}" if then != "" else ""
    numbers = [first and f"{first:.2f}", then, *(each if isinstance(each, str) else f"{each:.1e}" for each in errors)]
    cells = [library, what, dtype, *numbers, peak and f"{peak / 1e6:.0f}", remark, f"{took:.1f}"]
    print(line(cells), flush=True)


class NoGPUError(RuntimeError):
    """A library that sees none."""


@contextmanager
def guarded(library, what, dtype=""):
    """A step that may fail: the table says so, and the next step begins."""
    begin = time.perf_counter()
    try:
        yield begin
    except (ImportError, NoGPUError) as error:
        row(library, what, dtype, remark=f"not run: {error}", took=time.perf_counter() - begin)
    except Exception as error:  # whatever it is, the others are to run
        traceback.print_exc()
        text = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        row(library, what, dtype, remark=f"failed: {text}", took=time.perf_counter() - begin)


def data(n, features, dtype, offset=0.0):
    """Samples, targets, queries; and which queries are checked: some, and the outermost."""
    rng = np.random.default_rng(0)
    X, Q = (rng.normal(size=(n, features)) for _ in range(2))
    y = np.sin(1.6 * X[:, 0]) + np.cos(X[:, -1]) + 0.3 * rng.normal(size=n)
    outermost = np.argsort(-np.square(Q).sum(axis=1))[:N_OUTERMOST]
    at = np.concatenate([np.arange(min(N_RANDOM, n)), outermost])
    return (X + offset).astype(dtype), y.astype(dtype), (Q + offset).astype(dtype), at


def reference(X, y, queries, bandwidth):
    """The definition in long doubles, by all threads."""
    X, y, queries, h = (np.asarray(each, np.longdouble) for each in (X, y, queries, bandwidth))
    columns = np.ascontiguousarray(X.T)

    def predict(few):
        t = np.zeros((len(few), len(X)), np.longdouble)
        for key, query in zip(columns, few.T, strict=True):
            step = query[:, None] - key
            step *= step
            t += step
        t -= t.min(axis=1, keepdims=True)
        t *= -1 / (2 * h * h)
        weights = np.exp(np.maximum(t, -60), out=t)  # what is left out is less than 1e-20 of a sum
        return (weights @ y) / weights.sum(axis=1)

    with ThreadPoolExecutor(N_THREADS) as pool:
        return np.concatenate(list(pool.map(predict, np.array_split(queries, -(-len(queries) // 4)))))


def references(arguments, dtype, offset, bandwidth):
    """Those of a case, kept in a file for the libraries that come later."""
    file = Path(arguments.folder, f"{dtype}-{offset}-{bandwidth:.4f}-{arguments.n}.npy")
    X, y, Q, at = data(arguments.n, FEATURES, dtype, offset)
    if not file.exists():
        np.save(file, reference(X, y, Q[at], bandwidth))
    return np.load(file)


def errors(arguments, dtype, offset, bandwidth, got):
    """The largest errors at the random and the outermost queries, in standard deviations of y."""
    _, y, _, at = data(arguments.n, FEATURES, dtype, offset)
    found = np.abs(got[at] - references(arguments, dtype, offset, bandwidth)) / y.std(dtype=float)
    found = found.astype(float)
    return found[:-N_OUTERMOST].max(), found[-N_OUTERMOST:].max()


class Torch:
    """Arrays of torch."""

    def __init__(self, device):
        import torch

        self.torch, self.device = torch, "cuda" if device == "gpu" else device
        if device == "gpu" and not torch.cuda.is_available():
            raise NoGPUError("There is no GPU.")
        self.remark = f"torch {torch.__version__}, {torch.cuda.get_device_name() if device == 'gpu' else 'CPU'}"

    def put(self, array):
        """To the device."""
        return self.torch.asarray(array.copy(), device=self.device)

    def get(self, array):
        """To NumPy."""
        return array.cpu().numpy()

    def wait(self):
        """Until all is done."""
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def peak(self):
        """The most bytes in use since the last time."""
        if self.device != "cuda":
            return ""
        most = self.torch.cuda.max_memory_allocated()
        self.torch.cuda.empty_cache()
        self.torch.cuda.reset_peak_memory_stats()
        return most


class Jax:
    """Arrays of JAX."""

    def __init__(self, device):
        import jax

        jax.config.update("jax_enable_x64", True)
        self.jax, self.device = jax, jax.devices()[0]
        if device == "gpu" and self.device.platform == "cpu":
            raise NoGPUError("There is no GPU.")
        self.remark = f"jax {jax.__version__}, {self.device.device_kind}"

    def put(self, array):
        """To the device."""
        return self.jax.device_put(array, self.device)

    def get(self, array):
        """To NumPy."""
        return np.asarray(array)

    def wait(self):
        """Predictions come from sums that were fetched: nothing is left to be done."""

    def peak(self):
        """The most bytes in use."""
        return (self.device.memory_stats() or {}).get("peak_bytes_in_use", "")


class Cupy:
    """Arrays of CuPy."""

    def __init__(self, device):
        import cupy

        cupy.cuda.runtime.getDeviceCount()
        self.cupy, self.remark = cupy, f"cupy {cupy.__version__}"

    def put(self, array):
        """To the device."""
        return self.cupy.asarray(array)

    def get(self, array):
        """To NumPy."""
        return array.get()

    def wait(self):
        """Until all is done."""
        self.cupy.cuda.get_current_stream().synchronize()

    def peak(self):
        """The bytes of its pool, which grows to the most in use."""
        most = self.cupy.get_default_memory_pool().total_bytes()
        self.cupy.get_default_memory_pool().free_all_blocks()
        return most


SAID_OF = {
    "gpu": "Asked of a GPU: {} samples and as many queries.\n",
    "cpu": "On the processor, with {} samples and as many queries: what would run on a GPU, to see its errors.\n",
}

# And how many seconds each may take.
LIBRARIES = {"torch": Torch, "jax": Jax, "cupy": Cupy}
LIMITS_OF_TIME = {"torch": 150, "jax": 70, "cupy": 50}


def timed(library, call, repeats):
    """What a call gives, the seconds of the first, and the least of the next."""
    library.wait()
    seconds = []
    for _ in range(1 + repeats):
        begin = time.perf_counter()
        result = call()
        library.wait()
        seconds.append(time.perf_counter() - begin)
    return result, seconds[0], min(seconds[1:], default="")


def bandwidth_of(name, n):
    """One of `BANDWIDTHS`."""
    return float(n ** (-1 / (FEATURES + 4)) if BANDWIDTHS[name] is None else BANDWIDTHS[name])


def predictions(arguments, name, library, dtype, width, offset, repeats):
    """Fit and predict all queries."""
    from sknw import NadarayaWatsonRegressor

    h = bandwidth_of(width, arguments.n)
    with guarded(name, f"sknw, {width}, offset {offset:g}", dtype) as begin:
        X, y, Q, _ = data(arguments.n, FEATURES, dtype, offset)
        model = NadarayaWatsonRegressor(bandwidth=h).fit(library.put(X), library.put(y))
        queries = library.put(Q)
        library.peak()
        got, first, then = timed(library, partial(model.predict, queries), repeats)
        peak = library.peak()
        found = errors(arguments, dtype, offset, h, library.get(got))
        fine = max(found) <= LIMITS[dtype]
        remark = f"{model.inner_loop_}; limit {LIMITS[dtype]:g}: {'kept' if fine else 'EXCEEDED'}"
        row(
            name,
            f"sknw, {width}, offset {offset:g}",
            dtype,
            first,
            then,
            found,
            peak,
            remark,
            time.perf_counter() - begin,
        )
        if repeats > 1:
            begin = time.perf_counter()
            loop, points = model._fit.algorithm._device_loop, model._fit.problem.distance.transform(Q)
            columns, _, then = timed(library, partial(loop._columns, "sums", np.dtype(dtype), points, None), repeats)
            remark = f"{np.mean(columns[:, -1] < 1e-3):.2%} of rows weigh less than 1e-3"
            row(name, f"its pairs alone, {width}", dtype, "", then, remark=remark, took=time.perf_counter() - begin)


def search(arguments, name, library, dtype, repeats):
    """The default bandwidth, by the errors of all samples."""
    from sknw import NadarayaWatsonRegressor

    with guarded(name, f"sknw, fit with bandwidth='loo', {SEARCHED_FEATURES} features", dtype) as begin:
        X, y, _, _ = (each[: arguments.n] for each in data(arguments.n, SEARCHED_FEATURES, dtype))
        X, y = library.put(X), library.put(y)
        library.peak()
        model, first, then = timed(library, lambda: NadarayaWatsonRegressor().fit(X, y), repeats)
        search = model.bandwidth_search_
        remark = f"{search.n_evaluations} bandwidths; {search.message}; limit 10 s"
        what = f"sknw, fit with bandwidth='loo', {SEARCHED_FEATURES} features"
        row(name, what, dtype, first, then, peak=library.peak(), remark=remark, took=time.perf_counter() - begin)


def attention(arguments, library, dtype, offset):
    """The same fits by torch's fused attention: exp(q.k / h**2 - |k|**2 / (2 h**2)), centred."""
    torch, h = library.torch, bandwidth_of("wide", arguments.n)
    with guarded("torch", f"fused attention, wide, offset {offset:g}", dtype) as begin:
        X, y, Q, _ = data(arguments.n, FEATURES, dtype, offset)
        centre = X.mean(axis=0)  # as a user would who knows that products lose digits
        X, Q = (X - centre) / X.dtype.type(h), (Q - centre) / X.dtype.type(h)
        pad = np.zeros((len(X), 16 - FEATURES - 1), X.dtype)
        keys = library.put(np.hstack([X, -np.square(X).sum(axis=1, keepdims=True) / 2, pad]))[None, None]
        queries = library.put(np.hstack([Q, np.ones_like(Q[:, :1]), pad]))[None, None]
        values = library.put(np.repeat(y[:, None], 16, axis=1))[None, None]
        library.peak()

        def predict():
            return torch.nn.functional.scaled_dot_product_attention(queries, keys, values, scale=1.0)[0, 0, :, 0]

        if library.device == "cuda":
            from torch.nn.attention import SDPBackend, sdpa_kernel

            with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
                got, first, then = timed(library, predict, 3)
        else:
            got, first, then = timed(library, predict, 1)
        peak, found = library.peak(), errors(arguments, dtype, offset, h, library.get(got))
        what = f"fused attention, wide, offset {offset:g}"
        row("torch", what, dtype, first, then, found, peak, took=time.perf_counter() - begin)


def products(arguments, library, dtype):
    """Tiles of plain torch: squared distances by a matrix product."""
    torch, h = library.torch, bandwidth_of("wide", arguments.n)
    with guarded("torch", "plain tiles, wide, offset 0", dtype) as begin:
        X, y, Q, _ = data(arguments.n, FEATURES, dtype)
        keys, queries = library.put(X) / h, library.put(Q) / h
        values = torch.stack([library.put(y), torch.ones_like(library.put(y))], dim=1)
        lengths = keys.square().sum(dim=1) / 2
        library.peak()

        def predict():
            parts = []
            for tile in queries.split(2000):
                logs = tile @ keys.T - lengths - tile.square().sum(dim=1, keepdim=True) / 2
                sums = logs.exp_() @ values
                parts.append(sums[:, 0] / sums[:, 1])
            return torch.cat(parts)

        got, first, then = timed(library, predict, 2)
        peak, found = library.peak(), errors(arguments, dtype, 0.0, h, library.get(got))
        row("torch", "plain tiles, wide, offset 0", dtype, first, then, found, peak, took=time.perf_counter() - begin)


def keops(arguments, library, dtype):
    """The same by KeOps, where it is."""
    h = bandwidth_of("wide", arguments.n)
    with guarded("torch", "KeOps, wide, offset 0", dtype) as begin:
        with redirect_stdout(sys.stderr):  # it tells there what it has not found
            import pykeops

            pykeops.set_verbose(False)
            from pykeops.torch import LazyTensor

        X, y, Q, _ = data(arguments.n, FEATURES, dtype)
        keys, queries = LazyTensor(library.put(X)[None] / h), LazyTensor(library.put(Q)[:, None] / h)
        values = LazyTensor(library.put(y)[None, :, None])
        call = partial((-((queries - keys) ** 2).sum(-1) / 2).sumsoftmaxweight, values, axis=1)
        got, first, then = timed(library, call, 2)
        found = errors(arguments, dtype, 0.0, h, library.get(got)[:, 0])
        row("torch", "KeOps, wide, offset 0", dtype, first, then, found, took=time.perf_counter() - begin)


def run_library(arguments, name):
    """All steps with one library."""
    import sklearn

    from sknw._arrays import Device

    with guarded(name, "start") as begin:
        library = LIBRARIES[name](arguments.device)
        sklearn.set_config(array_api_dispatch=True)
        if arguments.device == "cpu":  # to try what runs on a GPU
            Device.accelerator = property(lambda device: device)
        library.get(library.put(np.ones(3)) + 1)
        row(name, "start", remark=library.remark, took=time.perf_counter() - begin)
        is_torch = name == "torch"
        for dtype in ("float64", "float32"):
            predictions(arguments, name, library, dtype, "wide", 0.0, 5 if is_torch else 2)
            if is_torch and dtype == "float32":
                attention(arguments, library, dtype, 0.0)
        if is_torch:
            for dtype in ("float64", "float32"):
                predictions(arguments, name, library, dtype, "narrow", 0.0, 3)
                search(arguments, name, library, dtype, 1 if arguments.device == "gpu" else 0)
            for dtype in ("float64", "float32"):
                for offset in OFFSETS[1:]:
                    predictions(arguments, name, library, dtype, "wide", offset, 1)
                products(arguments, library, dtype)
            attention(arguments, library, "float32", OFFSETS[1])
            keops(arguments, library, "float32")
        elif name == "jax":
            search(arguments, name, library, "float64", 0)


def run_base(arguments):
    """The build before, with all threads, and this one beside it, in NumPy on the processor."""
    code = (
        "import sys, time, numpy as np\n"
        "import sknw\n"
        "from sknw import NadarayaWatsonRegressor\n"
        "X, y, Q = (np.load(file) for file in sys.argv[1:4])\n"
        "model = NadarayaWatsonRegressor(bandwidth=float(sys.argv[4]), n_jobs=-1).fit(X, y)\n"
        "model.predict(Q[:2000])\n"
        "begin = time.perf_counter()\n"
        "model.predict(Q)\n"
        "print(time.perf_counter() - begin, sknw.__file__)\n"
    )
    for dtype in ("float64", "float32"):
        with guarded("base", f"{N_THREADS} threads, wide", dtype) as begin:
            files = []
            for label, array in zip("XyQ", data(arguments.n, FEATURES, dtype), strict=False):
                files.append(str(Path(arguments.folder, f"{label}-{dtype}.npy")))
                np.save(files[-1], array)
            command = [sys.executable, "-c", code, *files, str(bandwidth_of("wide", arguments.n))]
            done = subprocess.run(
                command,
                env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(arguments.base).resolve()), *sys.path])},
                cwd=arguments.folder,  # a build in the folder of the call would come first
                capture_output=True,
                text=True,
                timeout=80,
            )
            if done.returncode:
                raise RuntimeError(done.stderr.strip().splitlines()[-1])
            seconds, place = done.stdout.split()
            took = time.perf_counter() - begin
            row("base", f"{N_THREADS} threads, wide", dtype, "", float(seconds), remark=place, took=took)


def has_gpu():
    """Whether there is a GPU of NVIDIA."""
    tool = shutil.which("nvidia-smi")
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True).returncode == 0


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, help="samples, and queries; by default 100 000, or 500 on the processor")
    parser.add_argument("--device", choices=["gpu", "cpu"], help="the GPU by default, if there is one")
    parser.add_argument("--libraries", default="torch,jax,cupy")
    parser.add_argument("--base", default="", help="folder of a build to compare with")
    parser.add_argument("--library", default="", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.library:
        run_library(arguments, arguments.library)
        return
    begin = time.perf_counter()
    arguments.device = arguments.device or ("gpu" if has_gpu() else "cpu")
    arguments.n = arguments.n or (500 if arguments.device == "cpu" else 100_000)
    print(head("numpy", "scikit-learn", "array-api-compat", "torch", "jax", "cupy", "pykeops"))
    print(SAID_OF[arguments.device].format(f"{arguments.n:,}"))
    print(header(COLUMNS), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        arguments.folder = folder
        for name in arguments.libraries.split(","):
            command = [sys.executable, __file__, "--library", name, "--folder", folder, "--n", str(arguments.n)]
            with guarded(name, "all"):
                subprocess.run([*command, "--device", arguments.device], timeout=LIMITS_OF_TIME[name], check=True)
            if name == "torch" and arguments.base:
                run_base(arguments)
    row("all", "", took=time.perf_counter() - begin)


if __name__ == "__main__":
    main()
