"""Points in the plane for a person to look at, as the bytes of a PNG file."""

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from genwright.reporting.png import png_bytes

REAL = (150, 156, 164)
GENERATED = (37, 99, 235)
OUTSIDE = 1e9  # where what is not a number stands


def scatter(samples: Tensor, real: Tensor, side: int = 640) -> bytes:
    """Samples (n, 2) in blue over real points (m, 2) in grey. The frame is the real points' and a
    quarter more; a sample outside of it stands on its edge."""
    low = real.min(0).values
    high = real.max(0).values
    middle = ((low + high) / 2).cpu()
    reach = float((high - low).max()) * 0.625 or 1.0
    scale = torch.tensor([side / reach, -side / reach])  # y grows upwards
    # drawn twice as large, then reduced: smooth edges
    sheet = Image.new("RGB", (side * 2, side * 2), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for points, colour, radius in ((real, REAL, 5), (samples, GENERATED, 3)):
        known = points.detach().cpu().float().nan_to_num(OUTSIDE)
        places = (known - middle) * scale + side
        for x, y in places.clamp(6, side * 2 - 6).tolist():
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
    return png_bytes(sheet.resize((side, side), Image.Resampling.BOX))
