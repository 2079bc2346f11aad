"""The documentation site: `make docs` builds it from this folder, without a network."""

import inspect
import re
import sys
from pathlib import Path

from genwright.core.version import __version__

project = "genwright"
author = "the genwright authors"
copyright = "the genwright authors, Apache-2.0"
release = __version__
language = "en"
smartquotes = False  # they would change what is to be typed

extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "index"
exclude_patterns = ["_build"]

# Markdown
myst_enable_extensions = ["attrs_inline", "colon_fence"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
suppress_warnings = ["myst.header"]  # pages of CHANGELOG.md and the like begin where they please

# Docstrings
default_role = "code"  # `name` in a docstring
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
add_module_names = False
# Types that no page of this site describes: those of other packages, and what only the program
# itself makes and takes.
OTHERS = "collections|np|numpy|pathlib|pydantic|torch|typing"
INTERNAL = (
    "core.draws.Wanted",
    "core.kept_files.Input",
    "core.registry.Found",
    "data.balance.Balance",
    "data.examples.ExampleStream",
    "data.examples.HeldOutExamples",
    "evaluation.pilot.SampleCounts",
    "runs.trained.TrainedRun",
)
nitpick_ignore_regex = [
    ("py:.*", rf"(?:{OTHERS})\b.*"),
    ("py:.*", r"Batch|Path|Tensor|.*\[.*"),  # short names, and parts of types that were cut
    *(("py:.*", rf"genwright\.{re.escape(name)}") for name in INTERNAL),
]

# The look: no fonts, scripts or pictures from elsewhere
html_theme = "furo"
html_title = "genwright"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "top_of_page_buttons": [],
    "light_css_variables": {"color-brand-primary": "#1b5e9e", "color-brand-content": "#1b5e9e"},
    "dark_css_variables": {"color-brand-primary": "#7db7ee", "color-brand-content": "#7db7ee"},
}
pygments_style = "friendly"
highlight_language = "none"


def as_markup(app, what, name, thing, options, lines):
    """Docstrings are plain text. The star of a shape, (n, *shape), begins no emphasis; the name of
    a parameter, where it begins what is said of it, is bold."""
    names = "|".join(map(re.escape, parameters(thing)))
    for number, line in enumerate(lines):
        outside = re.split(r"(`[^`]*`)", line)
        outside[::2] = [part.replace("*", r"\*") for part in outside[::2]]
        line = "".join(outside)
        if names:
            line = re.sub(rf"(^|[.;)] )({names})(?=:(?: |$))", r"\1**\2**", line)
        lines[number] = line


def without_aliases(app, what, name, thing, skip, options):
    """Fields of a named tuple stand in its signature, and need no second place."""
    return True if str(thing.__doc__).startswith("Alias for field number") else None


def with_benchmarks(app, name, source):
    """The page of benchmarks gets its table of what was measured last."""
    if name == "benchmarks":
        source[0] = source[0].replace("{{ benchmarks }}", benchmarks())


def benchmarks():
    """A row for each bar of each benchmark, in Markdown."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
    import bench

    kept = bench.results()
    lines = [
        "| benchmark | figure | bar | reached | | when, and where |",
        "|---|---|---|---|---|---|",
    ]
    for name in sorted([*bench.BARS, *bench.REPORTED]):
        title = f"`{name}`"
        for figure, bar, reached, met, day, machine in bench.rows_of(name, kept):
            shown = ", ".join(word for word in (day, machine) if word not in ("", "-"))
            cells = [title, figure, bar, reached, met, shown]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
            title = ""
    return "\n".join(lines)


def parameters(thing):
    """Names of the parameters of a function, or of what makes a class."""
    try:
        return [name for name in inspect.signature(thing).parameters if name != "self"]
    except (TypeError, ValueError):
        return []


def setup(app):
    """What Sphinx asks of this file beside its settings."""
    app.connect("autodoc-process-docstring", as_markup)
    app.connect("source-read", with_benchmarks)
    app.connect("autodoc-skip-member", without_aliases)
