"""Compare the speed, accuracy and memory of sknw with other ways to compute the same. `make bench` runs it.

Every contender runs in a process of its own, by all threads. It warms up on 300 samples, and then by at least one run
and two seconds of them, by which what is compiled is compiled. A time is the median of seven further runs of fit and
predict, of three where one takes over half a second, of one over four; for single queries, of a hundred calls after fit
in each. An error is the largest of some random and the outermost queries, a hundred to a thousand, against the
definition in the longest float. Memory is what the first run, and a compiler in it, added to the peak. ">" is a time
over the limit, "~" one that was scaled up from fewer queries.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from contenders import CONTENDERS, MODULES
from report import head, header, line
from workloads import WORKLOADS, Case

MAIN = ("1-gauss-1e6", "1-epan-1e6", "1-tricube-1e6", "[235]-*-1e5", "8-*", "64-gauss-f32-*", "5-gauss-*-row")
COLUMNS = ("workload", "contender", "time (median)", "sknw is faster by", "x limit", "error / range(y)", "MB added")
PACKAGES = ("numpy", "scipy", "scikit-learn", "numba", "finufft", "statsmodels", "torch")
QUICK = ("1-gauss-1e4", "3-epan-1e5", "64-gauss-f32-2e4")
SPAWN = multiprocessing.get_context("spawn")
START_LIMIT, END_LIMIT = 180, 10
# Seconds: runs that are not counted; and one run, for it to be repeated less.
WARM_UP, SHORT, LONG = 2, 0.5, 4
IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


class Result(NamedTuple):
    """What there is to say of a contender that ran, or ran into the limit."""

    seconds: float
    sign: str = ""
    fit: float = 0.0
    error: str = ""
    megabytes: float | None = None


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(contender, case, queries):
    """Predictions, seconds of fit and seconds of both."""
    start = time.perf_counter()
    predict = contender.fit(case)
    fitted = time.perf_counter()
    got = predict(queries)
    return got, fitted - start, time.perf_counter() - start


def timed_rows(contender, case, queries):
    """Predictions of one query at a time, for some seconds; the time is that of a query, without fit."""
    predict = contender.fit(case)
    got, seconds = [], []
    while len(got) < len(queries) and sum(seconds) < 2:
        start = time.perf_counter()
        got.append(predict(queries[len(got)][None]))
        seconds.append(time.perf_counter() - start)
    return np.concatenate(got), 0.0, median(seconds)


def describe(got, want, y):
    """The largest error in ranges of y, and how many predictions are no numbers though there is a right answer."""
    want = want[: len(got)]
    known = np.isfinite(want)
    lost = ~np.isfinite(got) & known
    errors = np.abs(got - want)[known & ~lost]
    text = f"{float(errors.max()) / np.ptp(y):.0e}" if errors.size else ""
    return text + f", NaN at {lost.sum()} of {known.sum()}" * bool(lost.any())


def repeat(run_once, begin):
    """What the runs give that are counted, if the first began then."""
    while time.perf_counter() - begin < WARM_UP:
        run_once()
    begin = time.perf_counter()
    results = [run_once()]
    seconds = time.perf_counter() - begin
    return results + [run_once() for _ in range(6 if seconds < SHORT else 2 if seconds < LONG else 0)]


def measure(contender, workload, folder, pipe):
    """Send None when ready, None after one run, and the result at last; or why there is none."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1), os.dup2(silence, 2)
    warnings.simplefilter("ignore")
    case, at, want = Case.load(workload, folder), *(np.load(Path(folder, f"{k}.npy")) for k in ("at", "want"))
    count = 100 if workload.row else int(min(workload.n, contender.most_pairs / workload.n))
    kept = np.linspace(0, len(at) - 1, min(count, len(at))).astype(int)
    at, want = at[kept], want[kept]
    queries = case.Q[np.concatenate([at, np.setdiff1d(np.arange(workload.n), at)[: count - len(at)]])]
    run = timed_rows if workload.row else timed
    try:
        run(contender, case.small(), queries[:300])
        pipe.send(None)
        before, begin = peak(), time.perf_counter()
        got = run(contender, case, queries)[0]
        megabytes = peak() - before
        pipe.send(None)
        runs = repeat(lambda: run(contender, case, queries)[1:], begin)
        fit, seconds = (median(column) for column in zip(*runs, strict=True))
        scaled = count < workload.n and not workload.row
        if scaled:
            seconds = fit + (seconds - fit) * workload.n / count
        error = "" if got is None else describe(got[: len(at)], want, case.y)
        pipe.send(Result(seconds, "~" if scaled else "", fit, error, megabytes))
    except Exception as failure:
        pipe.send(f"not run: {type(failure).__name__}: {str(failure).splitlines()[0] if str(failure) else ''}")


def run(target, arguments, limit, late):
    """The result that target sends of a contender, late if it is over the limit, or why there is none."""
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=target, args=(*arguments, there))
    process.start()
    there.close()
    try:
        if not here.poll(START_LIMIT):
            return f"not run: not ready in {START_LIMIT} s"
        answer = here.recv()
        if answer is None:
            if not here.poll(limit):
                return late
            answer = here.recv()
        answer = here.recv() if answer is None else answer
        process.join(END_LIMIT)  # a process that is killed at its end leaves half a cache behind
        return answer
    except (EOFError, OSError):
        process.join()
        return f"not run: the process ended with exit code {process.exitcode}"
    finally:
        process.kill()
        process.join()


def import_time(module):
    """Seconds of an import in a fresh process, the median of five after one that may write bytecode."""
    command = [sys.executable, "-c", IMPORT.format(module)]
    answers = [subprocess.run(command, capture_output=True, text=True) for _ in range(6)]
    if answers[0].returncode:
        return f"not run: {answers[0].stderr.strip().splitlines()[-1]}"
    return Result(median(float(answer.stdout.split()[-1]) for answer in answers[1:]))


def spoken(seconds):
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


def ratio(number):
    return f"{number:.2g}" if number < 100 else f"{number:.0f}"


def row(workload, name, result, ours, limit):
    """One line of the table."""
    if isinstance(result, str):
        return line([workload, name, result, "", "", "", ""])
    seconds, sign, fit, error, megabytes = result
    duration = sign + spoken(seconds) + (f" (fit {spoken(fit)})" if fit > seconds / 20 else "")
    ratios = [
        (sign or other.sign) + ratio(seconds / other.seconds) if isinstance(other, Result) and other.sign != ">" else ""
        for other in (ours, limit)
    ]
    return line([workload, name, duration, *ratios, error, "" if megabytes is None else f"{megabytes:.0f}"])


def table(workload, contenders, limit):
    """Print the lines of one workload: ours and the limit first, for they are what the others are compared with."""
    ours = least = None
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own, because a child's peak of memory starts at that of its parent.
        preparation = SPAWN.Process(target=workload.save, args=(folder,))
        preparation.start()
        preparation.join()
        contenders = [contender for contender in contenders if contender.suits(workload)]
        contenders.sort(key=lambda one: (one.name != "sknw", workload.features not in one.limit_for))
        for contender in contenders:
            late = f"not run: over {limit:g} s" if workload.row else Result(limit, ">")
            result = run(measure, (contender, workload, folder), limit, late)
            ours = result if contender.name == "sknw" else ours
            name = contender.name
            if workload.features in contender.limit_for:
                least, name = result, f"limit: {name}"
            print(row(workload.name, name, result, ours, least), flush=True)


def import_table():
    results = {module: import_time(module) for module in MODULES}
    for module, result in results.items():
        print(row("import", module, result, results["sknw"], results["sklearn.base"]), flush=True)


def main():
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ", ".join([*(workload.name for workload in WORKLOADS), "import"])
    parser.add_argument("workload", nargs="*", help=f"names, or patterns such as '1-*-1e6' or '*': {names}")
    parser.add_argument("--limit", type=float, default=30, help="seconds that a run may take (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="2 000 samples at most, and three workloads by default")
    parser.add_argument("--all", action="store_true", help="all contenders, not only those that come near")
    arguments = parser.parse_args()
    patterns = arguments.workload or (QUICK if arguments.quick else MAIN)
    contenders = [contender for contender in CONTENDERS if arguments.all or contender.near]
    chosen = [workload for workload in WORKLOADS if any(fnmatch(workload.name, pattern) for pattern in patterns)]
    with_imports = any(fnmatch("import", pattern) for pattern in patterns)
    if not chosen and not with_imports:
        parser.error(f"no workload is called {' or '.join(patterns)}")
    print(head(*PACKAGES))
    print(header(COLUMNS), flush=True)
    for workload in chosen:
        small = replace(workload, n=min(workload.n, 2000)) if arguments.quick else workload
        table(small, contenders, arguments.limit)
    if with_imports:
        import_table()


if __name__ == "__main__":
    main()
