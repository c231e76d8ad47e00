"""The logo and the favicon: a kernel over the keys that it weighs."""

from math import exp

BLUE, ORANGE = "#0072B2", "#D55E00"


def svg():
    """A square of 64 units: a Gaussian about the query, and seven keys that are larger the more weight they have."""
    x = [k / 2 for k in range(8, 113)]
    curve = " ".join(f"{a:g},{46 - 34 * exp(-(((a - 30) / 9) ** 2) / 2):.2f}" for a in x)
    keys = "".join(
        f'<circle cx="{a}" cy="54" r="{1.6 + 4 * exp(-(((a - 30) / 9) ** 2) / 2):.2f}" fill="{ORANGE}"/>'
        for a in (8, 17, 25, 32, 40, 49, 57)
    )
    line = f'<polyline points="{curve}" fill="none" stroke="{BLUE}" stroke-width="5" stroke-linecap="round"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">{line}{keys}</svg>\n'


def write(folder):
    """Write both files."""
    folder.mkdir(exist_ok=True)
    for name in ("logo.svg", "favicon.svg"):
        (folder / name).write_text(svg())
