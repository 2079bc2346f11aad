"""A tiny causal model of pictures as codes, and a policy that goes on from it: seconds to train."""

import numpy as np
from PIL import Image

from genwright.api import train
from genwright.contents.images.data import ImagesData
from genwright.recipe.schema import Recipe

TRANSFORMER = {"kind": "transformer", "depth": 1, "width": 16, "heads": 2}
RED = {"measure": "colour", "options": {"colour": "red"}, "otherwise": 0.0}


def pictures(folder):
    """Files of 16 pictures of two colours, by folders of that name, which become an attribute."""
    for colour, rgb in {"red": (255, 0, 0), "blue": (0, 0, 255)}.items():
        (folder / "data" / colour).mkdir(parents=True)
        for i in range(8):
            values = np.full((8, 8, 3), 255, np.uint8)
            values[i % 4 : i % 4 + 3, 2:6] = rgb
            values[7, i] = 0  # no two are equal
            Image.fromarray(values).save(folder / "data" / colour / f"{i}.png")
    path = str(folder / "data")
    return ImagesData(path=path, cache=str(folder / "cache"), workers=1, held_out=0.2, minimum=1)


def rewarded_codes(folder, steps=2):
    """The model, and a policy of so many steps that is rewarded for red, both asked for what real
    pictures have."""
    data = pictures(folder)

    def trained(name, steps, start=None, **parts):
        training = {
            "steps": steps,
            "batch_size": 8,
            "threads": 1,
            "device": "cpu",
            "precision": "fp32",
            "optimizer": {"kind": "adamw", "learning_rate": 0.01},
        }
        recipe = {"name": name, "data": data.model_dump(), "training": training}
        return train(Recipe.of(recipe | parts), run=folder / name, start=start, quiet=True)

    vq = trained(
        "vq",
        30,
        codec={"kind": "image", "size": 8},
        model={"kind": "vq-autoencoder", "width": 4, "blocks": 0, "codes": 10},
        objective="vector-quantised",
    )
    codec = {"kind": "codes", "run": str(vq.folder), "prefix": 1}
    base = trained("codes", 30, codec=codec, model=TRANSFORMER, objective="causal")
    rollout = {"max_tokens": base.codec.places, "conditions": True}
    policy = {"kind": "policy", "rewards": [RED], "rollout": rollout, "candidates": 4}
    start = str(base.folder)
    other = {"kind": "codes", "run": "nowhere"}  # the codes of the model it begins with are meant
    return base, trained(
        "policy", steps, start=start, codec=other, model=TRANSFORMER, objective=policy
    )
