"""Croissant: a data set described as JSON-LD, with the fields of its responsible-AI extension.

Croissant 1.0 (Akhtar et al., arXiv 2403.19546; http://mlcommons.org/croissant/1.0) and Croissant
RAI 1.0 (Jain et al., arXiv 2407.16883). Only what the vocabulary has is written: what cannot hold
the word "unknown" (dates, addresses, versions) is left out of its field and named in the
description.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genwright.audit.card_answers import OF_BOTH, OF_DATA, PREFIX, Answers, Unknown

CONFORMS = ("http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0")
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
# fields of the extension that a person answers
ASKED = {
    "rai:dataCollection": "data_collection",
    "rai:dataAnnotationProtocol": "data_annotation",
    "rai:dataUseCases": "data_use",
    "rai:dataSocialImpact": "social_impact",
    "rai:personalSensitiveInformation": "personal_sensitive_information",
    "rai:dataReleaseMaintenancePlan": "maintenance",
}
ONE = ("rai:dataCollection", "rai:dataSocialImpact", "rai:dataReleaseMaintenancePlan")
# of the vocabulary, left out where nobody says them: name of the answer -> the field
NO_WORDS = {
    "url": "url",
    "version": "version",
    "date_published": "datePublished",
    "citation": "citeAs",
}


def dataset(
    name: str,
    description: str,
    licence: str | Unknown,
    answers: Answers,
    measured: Mapping[str, Sequence[str]],
    distribution: Sequence[Mapping[str, Any]],
    record_sets: Sequence[Mapping[str, Any]],
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """A data set. measured: fields of the extension -> what was counted, sentences. more: other
    fields of the vocabulary."""
    found: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": f"{description} {_not_stated(answers)}".strip(),
        "conformsTo": list(CONFORMS),
        "license": str(licence),
    }
    for answer, key in NO_WORDS.items():
        if answers.text(answer):
            found[key] = answers.text(answer)
    for answer, kind, key in (
        ("creator", "sc:Person", "creator"),
        ("publisher", "sc:Organization", "publisher"),
    ):
        if answers.text(answer):
            found[key] = {"@type": kind, "name": answers.text(answer)}
    found |= more
    found |= _responsible(answers, measured)
    found["distribution"] = list(distribution)
    found["recordSet"] = list(record_sets)
    return found


def _not_stated(answers: Answers) -> str:
    """What has no field that could say "unknown", as a sentence; "" where all is answered."""
    names = [*NO_WORDS, "creator", "publisher"]
    missing = answers.missing(OF_DATA | OF_BOTH)
    listed = [f"{name.replace('_', ' ')} ({PREFIX}{name})" for name in names if name in missing]
    if not listed:
        return ""
    return f"Unknown, for nobody has said it: {', '.join(listed)}."


def _responsible(answers: Answers, measured: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The fields of the extension: what was counted, then what a person says, or that it is
    unknown."""
    found: dict[str, Any] = {}
    for key, name in ASKED.items():
        texts = [*measured.get(key, ()), *_texts(answers, name)]
        if key in ONE:
            found[key] = " ".join(texts)
        else:
            found[key] = texts
    for key, name in (
        ("rai:dataBiases", "data_biases"),
        ("rai:dataLimitations", "data_limitations"),
    ):
        found[key] = [*measured.get(key, ()), *_texts(answers, name)]
    for key, sentences in measured.items():
        if key not in found and key in (
            "rai:dataCollectionMissingData",
            "rai:dataCollectionRawData",
        ):
            found[key] = " ".join(sentences)
        elif key not in found:
            found[key] = list(sentences)
    return dict(sorted(found.items()))


def _texts(answers: Answers, name: str) -> list[str]:
    found = answers.of(name)
    if isinstance(found, list):
        return found
    return [str(found)]


def file_object(name: str, sha256: str, encoding: str, about: str, size: int = 0) -> dict[str, Any]:
    """A file. name: also where it lies, below the folder of the data. size: in bytes; 0: not
    said."""
    found = {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": about,
        "contentUrl": name,
        "encodingFormat": encoding,
        "sha256": sha256,
    }
    if size:
        found["contentSize"] = f"{size} B"
    return found


def table(name: str, about: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> Any:
    """A set of records that stand in the description itself. columns: name -> type. rows: a value a
    column."""
    fields = []
    for column, kind in columns.items():
        fields.append({"@type": "cr:Field", "@id": f"{name}/{column}", "dataType": kind})
    data = []
    for row in rows:
        places = [f"{name}/{column}" for column in columns]
        data.append(dict(zip(places, row, strict=True)))
    found = {"@type": "cr:RecordSet", "@id": name, "name": name, "description": about}
    return {**found, "field": fields, "data": data}


def column_field(records: str, column: str, kind: str, about: str, files: str) -> dict[str, Any]:
    """A field that is a column of files. records: the set of records; files: the set of files."""
    return {
        "@type": "cr:Field",
        "@id": f"{records}/{column}",
        "name": column,
        "description": about,
        "dataType": kind,
        "source": {"fileSet": {"@id": files}, "extract": {"column": column}},
    }
