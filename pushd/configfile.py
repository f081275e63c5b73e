"""From a TOML file, the environment and secret files to a checked `Config`.

A value comes from the file, unless PUSHD_<TABLE>_<KEY> is set. A secret may
instead stand in a file of its own: named by `<key>_file`, or handed over by
systemd as the credential `<table>_<key>`.
"""

import difflib
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin

import tomlkit
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from tomlkit.exceptions import KeyAlreadyPresent, ParseError, TOMLKitError

from pushd.config import Config
from pushd.errors import ConfigError

PLACES = (Path("config.toml"), Path("/etc/pushd/config.toml"))

_Path = tuple[str | int, ...]
_TABLES: dict[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in Config.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read the configuration from `path` or the first of the usual places; ConfigError names every mistake at once."""
    path = path or find(environ)
    text = _read(path)
    document = _parse(path, text)
    for table in _TABLES:
        document.setdefault(table, {})
    origins: dict[_Path, str] = {}
    mistakes = [
        *_take_environment(document, origins, environ),
        *_take_secret_files(document, origins, environ),
    ]
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise ConfigError([*mistakes, *(_mistake(path, text, origins, detail) for detail in details)]) from None
    if mistakes:
        raise ConfigError(mistakes)
    return config


def find(environ: Mapping[str, str]) -> Path:
    """The file that is read when none is named; ConfigError when there is none."""
    if named := environ.get("PUSHD_CONFIG"):
        return Path(named)
    for place in PLACES:
        if _is_there(place):
            return place
    looked = ", ".join(str(place) for place in PLACES)
    raise ConfigError([f"no configuration found: name one with -c FILE or $PUSHD_CONFIG (looked for {looked})"])


def _is_there(path: Path) -> bool:
    """Whether there is such a file; one that may not be looked at is, and whoever reads it says why he cannot.

    But for a working folder that is closed to us, such as root's after `runuser -u pushd`: it holds nothing for us.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return path.is_absolute()
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8"]) from error
    except PermissionError as error:
        who = "do it as one who may, such as the service's user: runuser -u pushd -- pushctl …"
        raise ConfigError([f"{path}: cannot be read: permission denied: {who}"]) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {(error.strerror or str(error)).lower()}"]) from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomlkit.parse(text).unwrap()
    except ParseError as error:
        what = re.sub(r" at line \d+ col \d+$", "", str(error))
        raise ConfigError([f"{path}:{error.line}: not TOML: {what}"]) from error
    except TOMLKitError as error:
        raise ConfigError([f"{path}:{_repeated_line(text)}: not TOML: {error}"]) from error


def _repeated_line(text: str) -> int:
    """The line at which a key stands for the second time; tomlkit says which key, but not where."""
    lines = text.splitlines()
    for number in range(1, len(lines)):
        try:
            tomlkit.parse("\n".join(lines[:number]))
        except KeyAlreadyPresent:
            return number
        except TOMLKitError:
            continue  # a prefix may end inside a value of several lines
    return len(lines)


# the environment and secret files --------------------------------------------


def _take_environment(document: dict[str, Any], origins: dict[_Path, str], environ: Mapping[str, str]) -> list[str]:
    """Let PUSHD_<TABLE>_<KEY> win over the file; answers the variables that name no key."""
    mistakes = []
    for variable, raw in environ.items():
        prefix, _, rest = variable.partition("_")
        table, _, key = rest.lower().partition("_")
        if prefix != "PUSHD" or table not in _TABLES or not isinstance(document[table], dict):
            continue
        fields = _TABLES[table].model_fields
        secret = key.removesuffix("_file")
        if key not in fields and not _is_secret(fields.get(secret)):
            mistakes.append(f"${variable}: {_unknown(key, _TABLES[table])}")
            continue
        document[table].pop(f"{key}_file", None)
        document[table].pop(secret, None)
        document[table][key] = _value(raw, fields.get(key))
        origins[table, key] = f"${variable}"
    return mistakes


def _value(raw: str, field: FieldInfo | None) -> Any:
    """Read a variable as TOML for the keys that are no text (3, true, ["…"])."""
    if field is None or (field.annotation not in {bool, int} and get_origin(field.annotation) is not tuple):
        return raw
    try:
        return tomlkit.value(raw).unwrap()
    except (TOMLKitError, ValueError):
        return raw  # the model says what it should have been


def _take_secret_files(document: dict[str, Any], origins: dict[_Path, str], environ: Mapping[str, str]) -> list[str]:
    """Put the secrets that stand in files of their own into the document; answers what went wrong."""
    mistakes = []
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    secrets = [
        (table, key)
        for table, model in _TABLES.items()
        for key, field in model.model_fields.items()
        if _is_secret(field)
    ]
    for table, key in secrets:
        values = document[table]
        if not isinstance(values, dict):
            continue
        named = values.pop(f"{key}_file", None)
        credential = Path(credentials, f"{table}_{key}") if credentials else None
        if named is not None and key in values:
            mistakes.append(f"{table}.{key}: stands beside {table}.{key}_file; keep one of them")
            continue
        if named is not None:
            file = Path(str(named))
        elif credential and _is_there(credential) and (table, key) not in origins:  # a variable wins over both
            if key in values:
                mistakes.append(f"{table}.{key}: stands beside the credential {credential.name}; keep one of them")
                continue
            file = credential
        else:
            continue
        try:
            values[key] = file.read_text("utf-8").strip()
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path that no file can have
            mistakes.append(f"{table}.{key}_file: {file} cannot be read: {error}")
        origins[table, key] = str(file)
    return mistakes


def _is_secret(field: FieldInfo | None) -> bool:
    return field is not None and field.annotation is SecretStr


# mistakes -------------------------------------------------------------------


def _mistake(path: Path, text: str, origins: Mapping[_Path, str], detail: ErrorDetails) -> str:
    where = detail["loc"]
    origin = origins.get(where[:2]) or f"{path}:{_line(text, where)}".removesuffix(":None")
    key = ".".join(str(part) for part in where if isinstance(part, str))
    return f"{origin}: {key}: {_what(detail)}"


# What pydantic calls a mistake, and what a person has to be told; {…} is filled from pydantic's context.
_SENTENCES = {
    "value_error": "{error}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "string_type": 'must be text in quotes, like "…"',
    "string_too_short": "must not be empty",
    "tuple_type": 'must be a list, like ["…"]',
    "model_type": "must be a table, like [webhook]",
    "literal_error": "must be {expected}",
}


def _what(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return _unknown(str(detail["loc"][-1]), _TABLES.get(str(detail["loc"][0]), Config))
    sentence = _SENTENCES.get(detail["type"])
    return sentence.format(**detail.get("ctx", {})) if sentence else detail["msg"]


def _unknown(key: str, model: type[BaseModel]) -> str:
    close = difflib.get_close_matches(key, model.model_fields, n=1)
    return "unknown key" + (f"; is {close[0]} meant?" if close else f"; known are {', '.join(model.model_fields)}")


def _line(text: str, where: _Path) -> int | None:
    """The line of the file on which a key (or an element of its list) stands, None if it stands nowhere.

    tomlkit keeps every byte but tells no lines: so the value is changed in a
    copy, and the first line that then differs is the one.
    """
    document: Any = tomlkit.parse(text)
    holder = document
    try:
        for part in where[:-1]:
            holder = holder[part]
        if isinstance(holder[where[-1]], dict):
            del holder[where[-1]]
        else:
            holder[where[-1]] = "\x01"
    except (KeyError, IndexError, TypeError, TOMLKitError):
        return None
    before, after = text.splitlines(), tomlkit.dumps(document).splitlines()
    same = sum(1 for _ in itertools.takewhile(lambda lines: lines[0] == lines[1], zip(before, after, strict=False)))
    return same + 1
