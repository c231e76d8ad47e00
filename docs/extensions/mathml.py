"""Formulas as MathML, which browsers draw themselves: no script, no network, and the colours of the page."""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

# A bar is a fence here, as in |x|, and needs no space about it.
BAR = '<mo stretchy="false">&#x0007C;'
FENCE = '<mo stretchy="false" lspace="0" rspace="0">&#x0007C;'


def formula(text, display):
    """The MathML of a formula."""
    mathml = convert(text, display=display).replace(BAR, FENCE)
    if "\\" in mathml:
        raise ValueError(f"latex2mathml does not know all commands in this formula: {text}")
    return mathml


def inline(writer, node):
    """Write a formula in a sentence."""
    writer.body.append(formula(node.astext(), "inline"))
    raise SkipNode


def block(writer, node):
    """Write a formula on lines of its own. Where they are too short for it, they break at a wide space."""
    parts = [formula(part, "block") for part in node.astext().split(r"\qquad")]
    writer.body.append(f'<div class="formula">{"".join(parts)}</div>\n')
    raise SkipNode


def setup(app):
    """Add the renderer."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
