"""The documentation site: `make docs` builds it from this folder, without a network."""

import re

from genwright.core.version import __version__

project = "genwright"
author = "the genwright authors"
copyright = "the genwright authors, Apache-2.0"
release = __version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "index"
exclude_patterns = ["_build"]

# Markdown
myst_enable_extensions = ["colon_fence", "attrs_block"]
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
# Types that no page of this site describes: those of other packages, and what is not public here.
nitpick_ignore_regex = [("py:.*", r".*")]

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


def with_stars(app, what, name, thing, options, lines):
    """Docstrings are plain text: the star of a shape, (n, *shape), begins no emphasis."""
    for number, line in enumerate(lines):
        outside = re.split(r"(`[^`]*`)", line)
        outside[::2] = [part.replace("*", r"\*") for part in outside[::2]]
        lines[number] = "".join(outside)


def setup(app):
    """What Sphinx asks of this file beside its settings."""
    app.connect("autodoc-process-docstring", with_stars)
