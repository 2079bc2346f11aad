"""What a setting means is read from the docstring under its field, when somebody asks."""

from genwright.core.meanings import meaning
from genwright.core.registry import PLACES, Settings, kinds


class Base(Settings):
    size: int = 1
    """How large.

    More of it."""
    plain: int = 2
    other: int = 3
    "Another."


class Derived(Base):
    size: float = 1.5
    """How large, in parts."""
    other: int = 4


def test_the_docstring_of_the_class_that_says_the_type_counts():
    assert meaning(Base, "size") == "How large.\n\nMore of it."
    assert meaning(Derived, "size") == "How large, in parts."
    assert meaning(Derived, "plain") == "" and meaning(Base, "other") == "Another."
    assert meaning(Derived, "other") == ""


def test_classes_in_functions_have_meanings_too():
    class Inner(Settings):
        width: int = 3
        """How wide."""

    assert meaning(Inner, "width") == "How wide."


def test_without_source_there_is_no_meaning():
    made: dict = {"Settings": Settings, "__name__": "no_such_module"}
    exec("class Made(Settings):\n    size: int = 1\n    'How large.'\n", made)
    assert meaning(made["Made"], "size") == ""


def test_every_setting_of_every_family_has_a_meaning_but_its_kind():
    for family in PLACES:
        for cls in kinds(family).values():
            if isinstance(cls, type) and issubclass(cls, Settings):
                for name in cls.model_fields:
                    assert name == "kind" or meaning(cls, name), f"{cls.__name__}.{name}"
