"""What `make docs` holds the built site to: it stands alone."""

import runpy
import sys
from pathlib import Path

import pytest

TOOL = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "check_site.py"))
PAGE = '<html><body><h1 id="top">A page</h1>{}</body></html>'


@pytest.mark.parametrize(
    "content, sentence",
    [
        ('<script src="https://cdn.example/a.js"></script>', "loads https://cdn.example/a.js"),
        ('<img src="//cdn.example/a.png">', "loads //cdn.example/a.png"),
        ('<link rel="stylesheet" href="http://fonts.example/f">', "loads http://fonts.example/f"),
        ('<a href="gone.html">gone</a>', "names gone.html, which is not there"),
        ('<audio src="gone.mp3"></audio>', "names gone.mp3, which is not there"),
        ('<a href="other.html#no">no</a>', "a place that is not in that page"),
    ],
)
def test_what_a_page_lacks_or_loads_from_elsewhere_is_named(tmp_path, content, sentence):
    (tmp_path / "index.html").write_text(PAGE.format(content))
    (tmp_path / "other.html").write_text(PAGE.format(""))
    (found,) = TOOL["check"](tmp_path)
    assert found.startswith("index.html ") and sentence in found


def test_links_between_pages_and_to_other_sites_may_be_followed(tmp_path, capsys, monkeypatch):
    links = '<a href="other.html#top">o</a><a href="https://a.example/">a</a><a href="#top">t</a>'
    (tmp_path / "index.html").write_text(PAGE.format(links))
    (tmp_path / "other.html").write_text(PAGE.format('<img src="data:image/png;base64,AA==">'))
    monkeypatch.setattr(sys, "argv", ["check_site.py", str(tmp_path)])
    assert TOOL["main"]() == 0 and not capsys.readouterr().out
    (tmp_path / "style.css").write_text("@font-face { src: url('https://fonts.example/f') }")
    assert TOOL["main"]() == 1
    assert capsys.readouterr().out == "style.css loads https://fonts.example/f\n"
