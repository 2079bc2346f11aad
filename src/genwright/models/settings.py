"""What a run asks of the settings of its networks, whatever they are."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from torch import nn

from genwright.core.contracts import Space
from genwright.core.registry import Settings


class NetworkSettings(Settings):
    """Base of the settings of every network. A network has a role and is built (`build`); of the
    rest it says what differs from here."""

    role: ClassVar[str] = ""  # what an objective can do with it

    def check(self) -> None:
        """Raises GenwrightError for settings that do not fit each other, whatever the content is;
        called as soon as a recipe is read. Without being overridden: nothing is looked at."""

    def build(self, space: Space, *args: Any, **needs: Any) -> nn.Module:
        """The network, initialised from torch's current random state.

        space: what the codec makes. needs: what the objective asks of a network of this role (its
        `needs`), by name. Raises GenwrightError for content that it cannot make."""
        raise NotImplementedError

    def resolve(self, space: Space, *args: Any, **needs: Any) -> Self:
        """These settings with what is open filled in; space and needs: as of `build`. Raises
        GenwrightError for settings that do not fit each other."""
        return self

    def suggestion(self, space: Space) -> dict[str, Any]:
        """What suits a network of this size, of `batch_size` (examples), `learning_rate` and
        `matrix_rate`; what it does not say has a usual value."""
        return {}
