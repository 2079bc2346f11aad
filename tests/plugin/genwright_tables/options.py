"""What `genwright sample` and `evaluate` take for a run that makes rows."""

from genwright.sampling.options import FileOptions, NumberOptions, SampleCount, TokenOptions


class SampleOptions(
    TokenOptions, NumberOptions, FileOptions, content="table", command="sample", things="rows"
):
    columns: str | None = None
    """Which columns are shown, and in which order: a,b,c. Default: all."""


class EvaluateOptions(SampleCount, content="table", command="evaluate", things="rows"):
    pass
