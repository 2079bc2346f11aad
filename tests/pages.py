"""A report, read as a browser reads it."""

from html.parser import HTMLParser

from genwright.reporting.report import write_report

VOID = {"meta", "input", "br", "link", "img", "hr"}
SVG_EMPTY = {"line", "rect", "path", "circle"}


class Page(HTMLParser):
    """Checks that tags nest, and keeps what a test asks about."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []
        self.text = "".join(self.words)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in SVG_EMPTY
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def page_of(tmp_path, *runs):
    path = write_report(runs, tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    return Page(text), text
