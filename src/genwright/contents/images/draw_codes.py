"""Pictures drawn code by code from a causal transformer over the codes of a VQ model
(`codecs/codes.py`)."""

import torch
from torch import Tensor, nn

from genwright.contents.images.codec_codes import CodesCodec
from genwright.core.draws import Draws
from genwright.sampling.drawing import Decoding
from genwright.sampling.step import needs_causal, stepper, threads_for
from genwright.sampling.warp import choose, warp


@torch.no_grad()
def draw(
    model: nn.Module,
    codec: CodesCodec,
    count: int,
    condition: Tensor | None,
    negative: Tensor | None,
    settings: Decoding,
    guidance: float = 1.0,
    batch: int = 64,
    first: int = 0,
) -> Tensor:
    """Pictures first, first + 1, ... (count, C, H, W) in [-1, 1]; picture i is a pure function of
    the seed and of i.
    condition, negative: (count or 1, columns), what it is asked to be and not to be.
    guidance: the logits are n + guidance (c - n), of the condition c and of the negative one n, or
    of none (Ho and Salimans, arXiv 2207.12598); 1 draws from the model as it learned. Raises
    GenwrightError for a model that is not causal."""
    needs_causal(model)
    device = next(model.parameters()).device
    whole = [c if c is None else c.cpu().expand(count, -1) for c in (condition, negative)]
    drawn = []
    for rows in torch.arange(count).split(batch):
        asked, not_asked = (codec.before(c if c is None else c[rows], len(rows)) for c in whole)
        prompts = torch.cat((asked, not_asked)) if guidance != 1 else asked
        uniform = (
            Draws(settings.seed, 0, (first + rows).to(device))
            .uniform("token", codec.places)
            .unbind(1)
        )
        reader = stepper(model)
        codes: list[Tensor] = []
        with threads_for(model, len(prompts)):
            for chance in uniform:
                again = len(prompts) // len(rows)
                logits = (
                    reader.step(codes[-1].repeat(again))
                    if codes
                    else reader.start(prompts.to(device), None, codec.space.length)
                )
                logits = logits[:, : codec.codes]  # nothing but codes
                if guidance != 1:
                    yes, no = logits.log_softmax(-1).chunk(2)
                    logits = no + guidance * (yes - no)
                logits = warp(logits, settings)
                codes.append(
                    choose(logits, chance)[0] if settings.temperature else logits.argmax(-1)
                )
        drawn.append(torch.stack(codes, 1))
    return codec.pictures(torch.cat(drawn)) if drawn else torch.empty(0, *codec.image.space.shape)
