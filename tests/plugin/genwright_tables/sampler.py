"""How rows are drawn."""

import torch

from genwright.core.content import Advanced, Drawn, Sample
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.sampling.decode import generate_tokens
from genwright.sampling.latent_drawer import LatentDrawer
from genwright_tables.data import between_ends
from genwright_tables.options import SampleOptions
from genwright_tables.rows import Row, chosen

AT_ONCE = 256


class TableSampler:
    options = SampleOptions

    def draw(self, opened, options, n=None, first=0, partial=False):
        chosen(options.columns, opened.codec.names)  # a wrong name is refused before any work
        settings = opened.changed(options)
        if opened.codec.space.shape:
            codes = self._vectors(opened, options, settings)
        else:
            codes = self._tokens(opened, settings)
        count = n or options.n or 8
        for start in range(0, count, AT_ONCE):
            numbers = range(first + start, first + min(start + AT_ONCE, count))
            for number, code in zip(numbers, codes(numbers), strict=True):
                row = opened.codec.decode(code)
                tokens = () if opened.codec.space.shape else tuple(code)
                yield Drawn(Sample(row, seed=settings.seed, number=number, tokens=tokens))
            yield Advanced(start + len(numbers), count)

    def _vectors(self, opened, options, settings):
        """A function: numbers of samples -> their codes. The temperature is a factor on latents."""
        for name in ("top_k", "top_p", "min_p"):
            if getattr(options, name) is not None:
                raise GenwrightError(
                    f"--{name.replace('_', '-')} is of tokens, and this run makes vectors",
                    "leave it out",
                )
        if options.temperature is not None:
            settings = settings.model_copy(update={"truncation": options.temperature})
        drawer = LatentDrawer(opened.objective, opened.codec.space, settings)
        return lambda numbers: drawer(len(numbers), first=numbers.start).flatten(1).tolist()

    def _tokens(self, opened, settings):
        """A function: numbers of samples -> their codes, each token one of its column's."""
        codec = opened.codec
        model = opened.objective.modules["model"]
        device = next(model.parameters()).device
        settings = settings.model_copy(update={"max_tokens": len(codec.columns)})
        allowed = torch.zeros(len(codec.columns), codec.space.vocabulary, dtype=torch.bool)
        for place in range(len(codec.columns)):
            allowed[place, codec.starts[place] : codec.starts[place + 1]] = True
        allowed = allowed.to(device)

        def codes(numbers):
            draws = Draws(settings.seed, 0, torch.arange(numbers.start, numbers.stop).to(device))
            prompt = torch.full((len(numbers), 1), codec.end, device=device)

            def of_column(tokens, rows):
                return allowed[tokens.shape[1] - 1].expand(len(tokens), -1)

            drawn = generate_tokens(model, prompt, None, settings, draws, constraint=of_column)
            return drawn.tokens.tolist()

        return codes

    def collected(self, samples):
        return [sample.content for sample in samples]

    def real(self, dataset, split, n):
        side = dataset.split(split)
        index = torch.linspace(0, len(side) - 1, min(n, len(side))).long().numpy()
        codec = dataset.codec
        return [
            Sample(codec.decode(code), number=i, tokens=() if codec.space.shape else tuple(code))
            for i, code in enumerate(side.x(index).flatten(1).tolist())
        ]

    def noise(self, like, seed):
        """Each column shuffled by itself: the columns are right, what joins them is gone."""
        rows = [sample.content for sample in like]
        draws = Draws(seed, 0, torch.arange(len(rows)))
        orders = {name: draws.uniform(name).argsort().tolist() for name in rows[0]}
        return [
            Sample(Row({k: rows[orders[k][i]][k] for k in row}, row.known), seed=seed, number=i)
            for i, row in enumerate(rows)
        ]

    def batch(self, samples, codec):
        codes = [codec.encode(sample.content) for sample in samples]
        if codec.space.shape:
            return {"x": torch.tensor(codes).reshape(-1, *codec.space.shape)}
        return {"tokens": between_ends(torch.tensor(codes), codec.end)}
