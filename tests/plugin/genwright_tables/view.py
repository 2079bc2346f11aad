"""How rows are shown."""

from html import escape

from genwright.core.content import Drawn, Fragment, Part
from genwright_tables.rows import as_csv, chosen


class TableView:
    def write(self, samples, folder, options, opened):
        names = chosen(options.columns, opened.codec.names)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "rows.csv"
        lines = [as_csv(names)]
        lines += [as_csv([sample.content[name] for name in names]) for sample in samples]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [path]

    def terminal(self, out, options):
        """Prints CSV, the header first; with --output rows become a file instead."""
        if options.output:
            return None
        header: list[str] = []

        def show(event):
            if not isinstance(event, Drawn):
                return
            row = event.sample.content
            if not header:
                header.extend(chosen(options.columns, list(row)))
                print(as_csv(header), file=out)
            print(as_csv([row[name] for name in header]), file=out)

        return show

    def show(self, sample, marks=()):
        names = "".join(f"<th>{escape(name)}</th>" for name in sample.content)
        cells = "".join(f"<td>{escape(str(value))}</td>" for value in sample.content.values())
        return Fragment(f"<table><tr>{names}</tr><tr>{cells}</tr></table>")

    def parts(self, sample, codec):
        return [
            Part(name, codec.starts[i], codec.starts[i + 1])
            if codec.space.shape
            else Part(name, i, i + 1)
            for i, name in enumerate(codec.names)
        ]
