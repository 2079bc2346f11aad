"""What commands take for a run that makes points."""

from typing import Any, ClassVar

from genwright.sampling.options import FileOptions, LatentOptions, NumberOptions, SampleCount


class SampleOptions(
    FileOptions, LatentOptions, NumberOptions, content="points", command="sample", things="points"
):
    """What `genwright sample` takes for points: ways through the latent space, and numbers."""

    usual: ClassVar[dict[str, Any]] = {"n": 16}


class EvaluateOptions(SampleCount, content="points", command="evaluate", things="points"):
    """What `genwright evaluate` takes for points, beside the number of samples."""

    whole: bool = False
    """Every held-out point, 500 importance samples each."""
