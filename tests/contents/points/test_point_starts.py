"""Where a flow over points starts."""

from genwright.recipe.schema import Recipe
from genwright.runs import assemble
from genwright.sampling import latent
from genwright.sampling.drawing import Drawing


def test_a_flow_that_starts_elsewhere_is_sampled_from_there():
    values = {
        "name": "x",
        "data": {
            "kind": "points",
            "source": "moons",
            "start": "8gaussians",
            "points": 10,
            "held_out": 0,
        },
    }
    recipe = Recipe.of(values | {"model": {"kind": "mlp-velocity", "width": 8}})
    dataset = recipe.data.prepare(recipe.codec)
    z = latent.latents(assemble.objective(recipe, dataset.codec.space), 500, Drawing())
    assert (z.norm(dim=1) - 5).abs().mean() < 0.5, "eight normals at distance 5"
    usual = Recipe.of(
        values | {"data": {"kind": "points"}, "model": {"kind": "mlp-velocity", "width": 8}}
    )
    assert (
        latent.latents(assemble.objective(usual, dataset.codec.space), 500, Drawing())
        .norm(dim=1)
        .mean()
        < 2
    )
