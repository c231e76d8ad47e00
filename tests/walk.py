"""How far a reader walks through the house to follow a fit and a prediction: ``python tests/walk.py`` prints it."""

import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

import sknw

PACKAGE = Path(sknw.__file__).parent


def walk(call):
    """Functions of ours that a call runs, by file, each with how often; comprehensions and lambdas do not count."""
    opened = defaultdict(lambda: defaultdict(int))

    def note(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(PACKAGE)) and not code.co_name.startswith("<"):
            opened[str(Path(code.co_filename).relative_to(PACKAGE))][code.co_qualname] += 1

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return opened


def walks():
    """The walks of fit and predict of a weighted mean by brute force, and that of a fit of learned attention."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(150, 2)), rng.normal(size=150)
    model = sknw.NadarayaWatsonRegressor(bandwidth=1.0, algorithm="brute")
    return {
        "fit": walk(lambda: model.fit(X, y)),
        "predict": walk(lambda: model.predict(X)),
        "AttentionRegressor.fit": walk(lambda: sknw.AttentionRegressor(n_heads=2, random_state=0).fit(X[:60], y[:60])),
    }


def counts(report):
    """What a printed report says of each walk: {name: (files, functions, validations)}."""
    pattern = r"^(\S+): (\d+) files, (\d+) functions, (\d+) validations"
    return {name: tuple(map(int, rest)) for name, *rest in re.findall(pattern, report, re.MULTILINE)}


if __name__ == "__main__":
    for name, opened in walks().items():
        n_functions = sum(map(len, opened.values()))
        validations = opened["_validation.py"].get("check_training_data", 0)
        print(f"{name}: {len(opened)} files, {n_functions} functions, {validations} validations of training data")
        if len(opened) < 15:
            for file, functions in sorted(opened.items()):
                print(f"    {file}: {', '.join(functions)}")
