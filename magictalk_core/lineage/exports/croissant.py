"""Croissant 1.1: what a dataset is and how its files are read, as JSON-LD for search engines and data loaders.

The document is made of table contracts and hashes alone; `mlcroissant` reads the records with it, and so does every
loader that knows the format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from magictalk_core.storage.schema import Column, TableSpec

__all__ = ["DataFile", "Dataset", "RecordTable", "croissant"]

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
_PARQUET = "application/x-parquet"

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        term: f"cr:{term}"
        for term in (
            "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty",
            "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5",
            "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate",
            "separator", "source", "subField", "transform",
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}  # fmt: skip
"""The context that the specification recommends, with PROV: other than standard terms are not read by everyone."""

_TYPES = {
    pa.string(): "sc:Text",
    pa.bool_(): "sc:Boolean",
    pa.int32(): "cr:Int32",
    pa.int64(): "cr:Int64",
    pa.float32(): "cr:Float32",
    pa.float64(): "cr:Float64",
}


@dataclass(frozen=True)
class DataFile:
    """A file by its path from the folder of the document, with a hash of it: `sha256`, or `md5` where that is known."""

    path: str
    bytes: int
    sha256: str | None = None
    md5: str | None = None


@dataclass(frozen=True)
class RecordTable:
    """One record set: the rows of a table contract in `files`, all of them below `folder` or the one file itself.

    `split_of`: a pattern whose group is the split of a file, by its path.
    """

    name: str
    spec: TableSpec
    folder: str
    files: tuple[DataFile, ...]
    split_of: str | None = None


@dataclass(frozen=True)
class Dataset:
    """What a person reads first, and what follows from where it came from.

    `version`: MAJOR.MINOR.PATCH. `digest`: of the content. `derived_from`: md5 digests. `is_synthetic`: not filmed.
    """

    name: str
    description: str
    version: str
    digest: str
    licences: tuple[str, ...]
    tables: tuple[RecordTable, ...]
    trackers: tuple[str, ...] = ()
    derived_from: tuple[str, ...] = ()
    is_synthetic: bool = False


def croissant(dataset: Dataset) -> dict[str, Any]:
    """The document, a function of the content. Who publishes it adds `datePublished`, `url` and `creator`."""
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": dataset.name,
        "description": dataset.description,
        "conformsTo": CONFORMS_TO,
        "license": list(dataset.licences),
        "url": f"urn:md5:{dataset.digest}",
        "creator": {"@type": "sc:Organization", "name": "magictalk"},
        "citeAs": f"{dataset.name}, version {dataset.version}",
        "version": dataset.version,
        "sdVersion": dataset.version,
        "keywords": ["ARKit blendshapes", "talking faces", "head pose", "25 frames per second"],
        "rai:dataCollection": "made by a program" if dataset.is_synthetic else "filmed people, speaking",
        "rai:dataPreprocessingProtocol": [f"face tracker {tracker}" for tracker in dataset.trackers],
        "rai:personalSensitiveInformation": _personal(dataset),
        "prov:wasDerivedFrom": [{"@id": f"urn:md5:{digest.removesuffix('.dir')}"} for digest in dataset.derived_from],
        "distribution": [part for table in dataset.tables for part in _distribution(table)],
        "recordSet": [_record_set(table) for table in dataset.tables],
    }


def _personal(dataset: Dataset) -> list[str]:
    if dataset.is_synthetic:
        return []
    return ["Curves of a real person's face are personal data, under the terms of the footage they came from."]


def _distribution(table: RecordTable) -> Iterator[dict[str, Any]]:
    for file in table.files:
        about = {"@type": "cr:FileObject", "@id": file.path, "name": file.path, "contentUrl": file.path}
        hashed = {"sha256": file.sha256} if file.sha256 is not None else {"md5": file.md5}
        yield {**about, "contentSize": f"{file.bytes} B", "encodingFormat": _PARQUET, **hashed}
    if not _is_one_file(table):
        about = {"@type": "cr:FileSet", "@id": _resource(table), "name": _resource(table)}
        yield {**about, "encodingFormat": _PARQUET, "includes": f"{table.folder}/*.parquet"}


def _is_one_file(table: RecordTable) -> bool:
    return [file.path for file in table.files] == [table.folder]


def _resource(table: RecordTable) -> str:
    return table.folder if _is_one_file(table) else f"{table.name}-files"


def _source(table: RecordTable) -> dict[str, Any]:
    kind = "fileObject" if _is_one_file(table) else "fileSet"
    return {kind: {"@id": _resource(table)}}


def _record_set(table: RecordTable) -> dict[str, Any]:
    fields = [_field(table, column) for column in table.spec.columns]
    if table.split_of is not None:
        extract = {"extract": {"fileProperty": "fullpath"}, "transform": {"regex": table.split_of}}
        about = {"@type": "cr:Field", "@id": f"{table.name}/split", "name": "split", "dataType": "sc:Text"}
        fields.append({**about, "description": "of the clip: speakers or clips", "source": _source(table) | extract})
    keys = [{"@id": f"{table.name}/{name}"} for name in table.spec.sort_by]
    about = {"@type": "cr:RecordSet", "@id": table.name, "name": table.name}
    return {**about, "description": table.spec.description, "key": keys, "field": fields}


def _field(table: RecordTable, column: Column) -> dict[str, Any]:
    is_list = pa.types.is_list(column.type)
    kind = column.type.value_type if is_list else column.type
    described = f"{column.description} [{column.unit}]" if column.unit else column.description
    about = {"@type": "cr:Field", "@id": f"{table.name}/{column.name}", "name": column.name, "description": described}
    array = {"isArray": True, "arrayShape": "-1"} if is_list else {}
    source = _source(table) | {"extract": {"column": column.name}}
    return {**about, "dataType": _TYPES[kind], **array, "source": source}
