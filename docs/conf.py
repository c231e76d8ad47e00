"""How Sphinx builds the site. `make docs` runs it, without the network."""

import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

import figures
import logo

import sknw

logo.write(HERE / "_static")

project = "scikit-nw"
author = "The sknw developers"
copyright = author
version = release = sknw.__version__

extensions = [
    "matplotlib.sphinxext.figmpl_directive",
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "tables",
]
exclude_patterns = ["lessons"]
templates_path = ["_templates"]
default_role = "literal"
smartquotes = False
toc_object_entries_show_parents = "hide"
html_math_renderer = "mathml"
extlinks = {"doi": ("https://doi.org/%s", "doi:%s")}

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False

# Made by docs/inventories/make.py.
SITES = {
    "joblib": "https://joblib.readthedocs.io/en/stable/",
    "matplotlib": "https://matplotlib.org/stable/",
    "numpy": "https://numpy.org/doc/stable/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "sklearn": "https://scikit-learn.org/stable/",
}
intersphinx_mapping = {name: (site, f"inventories/{name}.inv") for name, site in SITES.items()}

plot_rcparams = figures.STYLE
plot_apply_rcparams = True
plot_formats = [("png", 100)]
plot_srcset = ["2x"]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_include_source = False


sphinx_gallery_conf = {
    "examples_dirs": ["../examples", "lessons"],
    "gallery_dirs": ["gallery", "tutorial"],
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"demo\.py",
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("sknw",),
    "backreferences_dir": "generated/backreferences",
    "image_scrapers": ("figures.scraper",),
    "image_srcset": ["2x"],
    "thumbnail_size": (800, 320),
    "reset_modules": ("matplotlib", "figures.set_style"),
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "write_computation_times": False,
    "min_reported_time": 1e9,
}
# What a notebook shows and a page need not say.
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "scikit-nw"
html_logo = "_static/logo.svg"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_sidebars = {"index": [], "changes": []}
html_theme_options = {
    "logo": {"text": "scikit-nw", "alt_text": "scikit-nw, the first page"},
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_nav_level": 2,
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
