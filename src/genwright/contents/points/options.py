"""What commands take for a run that makes points."""

from genwright.sampling.options import FileOptions, LatentOptions, NumberOptions, SampleCount


class SampleOptions(
    FileOptions, LatentOptions, NumberOptions, content="points", command="sample", things="points"
):
    pass


class EvaluateOptions(SampleCount, content="points", command="evaluate", things="points"):
    whole: bool = False
    """Every held-out point, 500 importance samples each."""
