"""Run all examples, and write their figures to build/demo/."""

import os
import runpy
import warnings
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"

import matplotlib.pyplot as plt

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "build" / "demo"


def save_figures(example):
    """Save what an example has drawn since the last call, as pictures that bear its name."""
    name = example.stem.removeprefix("plot_")
    for number in plt.get_fignums():
        count = len(list(TARGET.glob(f"{name}_[0-9].png")))
        path = TARGET / f"{name}_{count + 1}.png"
        plt.figure(number).savefig(path, dpi=120)
        written.append(path)
    plt.close("all")


TARGET.mkdir(parents=True, exist_ok=True)
for old in TARGET.glob("*.png"):
    old.unlink()
written: list[Path] = []
for example in sorted(HERE.glob("plot_*.py")):
    print(f"\n== {example.name}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
        plt.show = lambda *args, example=example: save_figures(example)
        runpy.run_path(str(example), run_name="__main__")
    save_figures(example)

print("\nFigures:")
for path in written:
    print(f"  {path.relative_to(HERE.parent)}")
