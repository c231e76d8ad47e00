"""Figures in one style, and with a text for those who cannot see them.

An example describes its figures in a comment that sphinx-gallery does not print, one for each figure of a block:

    # sphinx_gallery_alt = "A bell curve over the distance."

Without one, the titles in the figure stand in.
"""

import re
from pathlib import Path

import matplotlib
from sphinx_gallery.scrapers import matplotlib_scraper

STYLE = dict(matplotlib.rc_params_from_file(Path(__file__).parents[1] / "figures.mplstyle", use_default_template=False))
COMMENT = re.compile(r'^# sphinx_gallery_alt = "(.*)"$', re.MULTILINE)
OPTION = re.compile(r"(?<=:alt: ).*")


def scraper(block, block_vars, gallery_conf):
    """Save the figures of a block, and describe them."""
    texts = iter(COMMENT.findall(block[1]))
    rst = matplotlib_scraper(block, block_vars, gallery_conf)
    return OPTION.sub(lambda found: next(texts, found[0]), rst)


def set_style(gallery_conf, example):
    """Draw the figures of the next example in our style."""
    matplotlib.rcParams.update(STYLE)
