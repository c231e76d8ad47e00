"""Write the inventories: where the sites of other packages keep what ours refers to.

`python docs/inventories/make.py` after adding a name below. The full inventories of those sites are some megabytes and
on the network; these are made of the names alone, which have to exist in the installed packages, and the way in which
each site builds its addresses.
"""

import inspect
import zlib
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

# For each package the page of a name, and the names.
PAGES = {
    "joblib": ("generated/{}.html", ["joblib.dump", "joblib.load", "joblib.parallel_config"]),
    "matplotlib": (
        "api/_as_gen/{}.html",
        [
            "matplotlib.axes.Axes.barh",
            "matplotlib.axes.Axes.fill_between",
            "matplotlib.axes.Axes.imshow",
            "matplotlib.axes.Axes.plot",
            "matplotlib.axes.Axes.scatter",
            "matplotlib.pyplot.show",
            "matplotlib.pyplot.subplots",
        ],
    ),
    "numpy": (
        "reference/generated/{}.html",
        ["numpy.argsort", "numpy.array", "numpy.geomspace", "numpy.linspace", "numpy.mean", "numpy.ndarray"],
    ),
    "scipy": ("reference/generated/{}.html", ["scipy.sparse.csr_array", "scipy.spatial.distance.cdist"]),
    "sklearn": (
        "modules/generated/{}.html",
        [
            "sklearn.gaussian_process.GaussianProcessRegressor",
            "sklearn.kernel_ridge.KernelRidge",
            "sklearn.ensemble.HistGradientBoostingRegressor",
            "sklearn.linear_model.RidgeCV",
            "sklearn.metrics.PredictionErrorDisplay",
            "sklearn.model_selection.GridSearchCV",
            "sklearn.model_selection.GroupKFold",
            "sklearn.model_selection.KFold",
            "sklearn.model_selection.LeaveOneOut",
            "sklearn.model_selection.cross_val_predict",
            "sklearn.model_selection.cross_val_score",
            "sklearn.neighbors.KNeighborsRegressor",
            "sklearn.neighbors.RadiusNeighborsRegressor",
            "sklearn.pipeline.make_pipeline",
            "sklearn.preprocessing.StandardScaler",
            "sklearn.utils.Bunch",
        ],
    ),
}

DISTRIBUTIONS = {"sklearn": "scikit-learn"}


def find(name):
    """The object of a name, and whether it belongs to a class."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            found = import_module(".".join(parts[:end]))
        except ImportError:
            continue
        for part in parts[end:]:
            parent, found = found, getattr(found, part)
        return found, inspect.isclass(parent)
    raise ImportError(name)


def role(name):
    """What Sphinx calls it."""
    found, of_class = find(name)
    return "class" if inspect.isclass(found) else "method" if of_class else "function"


def inventory(package, page, names):
    """The bytes of an inventory, in version 2 of the format."""
    distribution = DISTRIBUTIONS.get(package, package)
    head = (
        "# Sphinx inventory version 2\n"
        f"# Project: {distribution}\n"
        f"# Version: {version(distribution)}\n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    lines = (f"{name} py:{role(name)} 1 {page.format(name)}#$ -\n" for name in sorted(names))
    return head.encode() + zlib.compress("".join(lines).encode(), 9)


for package, (page, names) in PAGES.items():
    Path(__file__).with_name(f"{package}.inv").write_bytes(inventory(package, page, names))
