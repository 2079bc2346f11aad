"""What a corpus is, as settings: the file corpus.yaml.

    name: mine
    sources: [{kind: files, path: notes/}, {kind: html, path: pages/, licence: CC-BY-4.0}]
    filters: [gopher, c4, {personal-data: redact}, {attribute: words, at_most: 20000}]
    deduplicate: {similarity: 0.8, recall: 0.95}
    mix: {weights: {source: {notes: 2, pages: 1}}, tokens: 5e7, held_out: 0.02}

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from genwright.core.corpus import RawSource, Rule, RuleSet, rules_of
from genwright.core.corpus_content import (
    CorpusContent,
    ReadsBytes,
    corpus_content,
    corpus_kinds,
)
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.registry import Settings, kinds, settings_of
from genwright.recipe.settings import settings_from

LABELS = ("source", "licence", "language")  # of documents, that weights may name
OWN = "own"  # beginning of the reasons of a person's own rules
UNIT_INTERVAL = {"ge": 0, "le": 1}


class Near(Settings):
    """How near copies are found."""

    similarity: float = Field(0.8, gt=0, le=1)
    """From which similarity a document is a near copy. Of texts: the Jaccard similarity of their
    sets of five words. Other kinds of content say what it is, and what is usual."""
    recall: float = Field(0.95, gt=0, lt=1)
    """Share of the near copies of exactly that similarity that are to be found, expected. Where
    fingerprints are compared all are found, whatever it says."""
    memory: float = Field(1e9, ge=1e6)
    """Bytes that finding them may take, about, in all processes together; a process needs 125 MB
    whatever is asked for."""


class Mix(Settings):
    """What of a corpus is trained on, how often, and what is held out."""

    weights: dict[str, dict[str, float]] = {}
    """Label -> value -> how often its documents are repeated, on average, beside others: source,
    licence, language. 0 leaves them out; values that are not named have 1."""
    tokens: float | None = Field(None, gt=0)
    """Budget, in tokens of about four bytes; without one, all there is, once."""
    held_out: float = Field(0.02, ge=0, lt=1)
    """Share of the bytes that is never trained on: whole clusters of copies."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Which documents are taken where the budget is less than there is."""

    @model_validator(mode="after")
    def _weighted(self) -> Mix:
        for label, by_value in self.weights.items():
            if label not in LABELS:
                raise GenwrightError(
                    f"mix.weights names {label!r}", f"it must be one of {', '.join(LABELS)}"
                )
            for value, weight in by_value.items():
                if weight < 0:
                    raise GenwrightError(
                        f"mix.weights.{label}.{value} is {weight:g}",
                        "give 0, to leave such documents out, or more",
                    )
        return self


class Source(Settings):
    """Where raw files come from. raw: the settings of its kind (`core.corpus.RawSource`)."""

    name: str
    licence: str = ""
    """An SPDX identifier, of documents that say none of their own."""
    raw: Any


class Filter(Settings):
    """A rule set by name, with an option or with settings; or a rule of a person's own."""

    rules: str = ""
    option: str = ""
    settings: dict[str, Any] = {}
    attribute: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Filter:
        if self.attribute and self.at_least is None and self.at_most is None:
            raise GenwrightError(
                f"the filter of {self.attribute} has no bound", "give at_least, at_most or both"
            )
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise GenwrightError(
                f"the filter of {self.attribute} wants at least {self.at_least:g} and at most"
                f" {self.at_most:g}, which no document satisfies",
                "give an at_most that is not less than at_least",
            )
        return self


def _source(value: Any) -> Any:
    """{kind, path, ..., name, licence} -> a `Source`."""
    if isinstance(value, Source):
        return value
    if not isinstance(value, Mapping):
        raise GenwrightError(f"sources has {value!r}", "write each as {kind: files, path: FOLDER}")
    given = dict(value)
    licence = given.pop("licence", "")
    name = given.pop("name", "")
    cls = settings_of("raw", given.get("kind", "files"), "the kind of a source")
    raw = cls(**given)
    path = getattr(raw, "path", "")
    first = path if isinstance(path, str) else next(iter(path), "")
    return Source(name=name or Path(first).name or str(given["kind"]), licence=licence, raw=raw)


def _filter(value: Any) -> Any:
    """gopher | {personal-data: redact} | {contamination: {path: evals/}} | {attribute: words,
    at_most: 9} -> a `Filter`."""
    if isinstance(value, str):
        return Filter(rules=value)
    if isinstance(value, Mapping) and "attribute" not in value and "rules" not in value:
        if len(value) != 1:
            raise GenwrightError(
                f"filters has {dict(value)!r}", "write one rule set an entry: {personal-data: drop}"
            )
        ((name, option),) = value.items()
        if isinstance(option, Mapping):
            return Filter(rules=str(name), settings=dict(option))
        return Filter(rules=str(name), option=str(option))
    return value


class CorpusRecipe(Settings):
    """What a corpus is made of."""

    name: str
    """What it is called; the default folder is corpora/NAME."""
    kind: str = "text"
    """The kind of content."""
    sources: tuple[Annotated[Source, BeforeValidator(_source)], ...]
    """Where raw files come from."""
    filters: tuple[Annotated[Filter, BeforeValidator(_filter)], ...] = ()
    """What a document must satisfy to be kept, in order: the first rule that it breaks is the
    reason it is dropped for."""
    deduplicate: Near | None = Near()
    """How near copies are found, which are dropped but for one; null: no copy is dropped."""
    mix: Mix = Mix()
    """What of it is trained on."""

    @model_validator(mode="before")
    @classmethod
    def _in_terms_of_the_kind(cls, values: Any) -> Any:
        """What is usual of near copies, where the kind of content says it."""
        if not isinstance(values, Mapping):
            return values
        content = corpus_content(str(values.get("kind", "")))
        near = values.get("deduplicate", {})
        if content is None or not isinstance(near, Mapping):
            return values
        return {**values, "deduplicate": content.near.settings(near)}

    @model_validator(mode="after")
    def _distinct(self) -> CorpusRecipe:
        if self.kind not in corpus_kinds():
            raise GenwrightError(
                f"a corpus has the kind {self.kind!r}", did_you_mean(self.kind, corpus_kinds())
            )
        _check_name(self.name)
        if not self.sources:
            raise GenwrightError(
                f"the corpus {self.name} has no sources",
                "write sources: [{kind: files, path: FOLDER}]",
            )
        names = [source.name for source in self.sources]
        for name in names:
            if names.count(name) > 1:
                raise GenwrightError(
                    f"two sources are called {name!r}", "give each a name of its own: name: WORD"
                )
        for name in self.mix.weights.get("source", {}):
            if name not in names:
                raise GenwrightError(
                    f"mix.weights.source names {name!r}", did_you_mean(name, names)
                )
        content = corpus_content(self.kind)
        if self.mix.tokens is not None and content is not None:
            raise GenwrightError(
                f"mix.tokens is a budget of text, and this is a corpus of {self.kind}",
                "leave it out; a weight below 1 takes a share of its documents",
            )
        for source in self.sources:
            of_kind(source.raw, content)
        self.rule_sets()
        return self

    # the filters whose rules were made last, and those: to make them again reads what they name
    _made: tuple[tuple[Filter, ...], list[RuleSet]] | None = PrivateAttr(None)

    def rule_sets(self) -> list[RuleSet]:
        """The rules of the filters, in order. Raises GenwrightError for unknown ones."""
        if self._made is None or self._made[0] is not self.filters:
            self._made = (self.filters, rule_sets(self.kind, self.filters))
        return self._made[1]


def _check_name(name: str) -> None:
    """Raises GenwrightError for a name that leads out of the folder of all corpora."""
    parts = name.replace("\\", "/").split("/")
    if not name.strip() or not parts[0] or parts == ["."] or ".." in parts or ":" in parts[0]:
        raise GenwrightError(
            f"a corpus cannot be called {name!r}, for that leads out of the folder corpora",
            "give a name like mine, and the folder with --corpus",
        )


def rule_sets(content: str, filters: Sequence[Filter]) -> list[RuleSet]:
    """The rules that filters of a kind of content name, in order. Raises GenwrightError for unknown
    ones."""
    known = rules_of(content)
    found = []
    for each in filters:
        if each.attribute:
            found.append(_own_rule(each))
            continue
        if each.rules not in known:
            raise GenwrightError(f"filters names {each.rules!r}", did_you_mean(each.rules, known))
        rules = known[each.rules]
        if rules.settings is not None:
            found.append(_with_settings(rules, rules.settings, each))
        elif each.settings:
            raise GenwrightError(
                f"the filter {rules.name} has no settings {each.settings!r}",
                f"write only {rules.name}, or {{{rules.name}: OPTION}}",
            )
        else:
            found.append(_with_option(rules, each.option))
    return found


def _own_rule(given: Filter) -> RuleSet:
    reason = f"{OWN}.{given.attribute}"
    rule = Rule(reason, given.attribute, given.at_least, given.at_most)
    return RuleSet(reason, (rule,), ())


def _with_option(rules: RuleSet, option: str) -> RuleSet:
    """A set as an option has it."""
    if rules.make is None:
        if option:
            raise GenwrightError(
                f"the filter {rules.name} has no option {option!r}", f"write only {rules.name}"
            )
        return rules
    return rules.make(option or next(iter(rules.options), ""))


def _with_settings(rules: RuleSet, cls: type[Settings], given: Filter) -> RuleSet:
    """A set as its settings have it. cls: their class. Raises GenwrightError."""
    values = dict(given.settings)
    if given.option:
        values = {next(iter(cls.model_fields)): given.option}
    settings = settings_from(cls, values, f"filters.{rules.name}", list)
    assert rules.make is not None
    return rules.make(settings)


def of_kind(source: Any, content: CorpusContent | None) -> RawSource:
    """A source as it reads documents of a kind. content: None where they are texts. Raises
    GenwrightError for a source that gives texts alone."""
    raw: RawSource = source
    if content is None:
        return raw
    if not isinstance(raw, ReadsBytes):
        able = [kind for kind, cls in kinds("raw").items() if issubclass(cls, ReadsBytes)]
        raise GenwrightError(
            f"a source of the kind {source.kind} gives no {content.kind}",
            f"use one of the kinds {', '.join(sorted(able))}",
        )
    return raw.of_bytes(content)


def raw_source(kind: str, settings: Mapping[str, Any], content: str = "") -> RawSource:
    """The source of these settings, in a worker process. content: the kind of the corpus, ""
    where its documents are texts."""
    cls: Any = settings_of("raw", kind)
    return of_kind(cls(**settings), corpus_content(content) if content else None)
