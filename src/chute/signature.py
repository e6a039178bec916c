"""What a task takes and gives, read from its function once, when it is registered: a call -> JSON bytes, JSON bytes -> arguments. Pure.

The parameters and our own fields make one msgspec struct, so a job is decoded, checked and converted in a single pass; nothing is inspected
when a job runs. Only where that pass refuses does `_explain` look for the public reason.
"""

import inspect
import typing
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, TypeAlias, cast

import msgspec
import msgspec.inspect

from chute import envelope
from chute.envelope import Head, Refused
from chute.keys import is_job_id
from chute.likeness import likest

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_Kind = inspect.Parameter


Arguments: TypeAlias = tuple[Any, ...] | dict[str, Any]
"""Those of a call: in the order of the parameters, or by name."""


class Signature:
    """The parameters of one function, as a decoder and an encoder of jobs."""

    def __init__(self, fn: Callable[..., Any], task: str) -> None:
        self.task = task
        self._signature = _check_function(fn)
        hints = _hints(fn)
        parameters = [each for each in self._signature.parameters.values() if each.kind is not _Kind.VAR_KEYWORD]
        self.more = next(
            (hints.get(each.name, Any) for each in self._signature.parameters.values() if each.kind is _Kind.VAR_KEYWORD), None
        )
        self.names = tuple(each.name for each in parameters)
        self._required = [each.name for each in parameters if each.default is _Kind.empty]
        self.returns = _result_type(hints.get("return", Any))
        places = [(each, _attribute(i, each.name)) for i, each in enumerate(parameters)]
        self._keywords = [(each.name, attribute) for each, attribute in places if each.kind is _Kind.KEYWORD_ONLY]
        self._positional = [attribute for each, attribute in places if each.kind is not _Kind.KEYWORD_ONLY]
        self._values = attrgetter(*self._positional) if self._positional else None
        self.blank: dict[str, Any] = dict.fromkeys(("job_id", *self.names, "@task", "@at"), task)
        """A job whose arguments are all there in their places, but for them, its id and its time."""
        self._by_place = -1 if self._keywords or "job_id" in self.names else len(self.names)
        """How many those are; -1 where they need their names."""
        self._single = len(self._positional) == 1
        self._plain = not self._keywords and self.more is None
        types = [hints.get(each.name, Any) for each in parameters]
        _check_types(fn, dict(zip(self.names, types, strict=True)))
        self._decode = msgspec.json.Decoder(_struct(task, parameters, types), dec_hook=from_plain).decode

    def decode(self, body: bytes) -> Head:
        """The job as a struct of our fields and the arguments, or Refused."""
        if len(body) > envelope.SMALL or not body.isascii():
            envelope.check_bytes(body)
        try:
            job = self._decode(body)
        except _UNREADABLE:
            return self._explain(body)
        if job.job_id is None:
            job.job_id = ""
        elif not is_job_id(job.job_id):
            return self._explain(body)
        return job

    def arguments(self, job: Any, body: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """How to call the function with a decoded job."""
        args = self._values(job) if self._values else ()
        if self._single:
            args = (args,)
        if self._plain:
            return args, {}
        named = {name: getattr(job, attribute) for name, attribute in self._keywords}
        if self.more is not None:
            named |= self._extra(envelope.check(body))
        return args, named

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
        """A call's arguments, by name where they are not all there in their places. Raises TypeError as the call itself would."""
        if not kwargs and len(args) == self._by_place:
            return args
        try:
            bound = self._signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{self._said(self._unbound(args, kwargs) or f': {error}')}. Nothing was sent") from None
        for name, value in list(bound.items()):
            if name not in self.names:
                bound |= bound.pop(name)  # **kwargs
            elif value is inspect.Parameter.empty:
                del bound[name]
        return bound

    def encode(self, job: dict[str, Any]) -> bytes:
        """The bytes of a job of this task with a valid id, checked as the worker will check them. Raises TypeError or ValueError."""
        try:
            body = _encode(job)
            if len(body) > envelope.SMALL or not body.isascii():
                envelope.check_bytes(body)
            self._decode(body)
            # null may stand for what has no JSON; `in` takes twice as long as `find`
            if self.more is None and (body.find(b"null") < 0 or envelope.finite(msgspec.to_builtins(job, enc_hook=to_plain))):
                return body
        except (*_UNREADABLE, ValueError, TypeError, OverflowError, Refused):
            pass
        return self._encode_with_care(job)

    def _encode_with_care(self, job: dict[str, Any]) -> bytes:
        """As `encode`, step by step: only so it is known which was wrong."""
        try:
            body = envelope.encode(job, _encoder, to_plain)
        except ValueError as error:
            unwritable = _quoted([name for name in job if not _writable(job[name])])
            raise ValueError(self._said(f": {unwritable}{unwritable and ' '}{error}")) from None
        try:
            self.arguments(self.decode(body), body)
        except Refused as refused:
            if refused.reason == "bad_arguments":
                raise TypeError(f"{refused}. Nothing was sent") from None
            raise ValueError(f"{refused}. Nothing was sent") from None
        return body

    def _explain(self, body: bytes) -> Head:
        """The slow way, step by step: the job where only unknown fields of ours stood in the way, else the reason."""
        job = envelope.check(body)
        others = [name for name in job if name not in self.names and name not in envelope.OURS]
        if wrong := self._misnamed([name for name in others if not name.startswith("@")], {*job, "job_id"}):
            raise self._bad(job, wrong)
        try:
            decoded = self._decode(envelope.without(body, others))
        except _UNREADABLE as error:
            raise self._bad(job, f": {envelope.readable(error)}") from None
        decoded.job_id = decoded.job_id or ""
        return decoded

    def _unbound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """Why a call does not fit, in the words that a pushed job gets."""
        by_place = self.names[: len(self._positional)]
        given = by_place[: len(args)]
        if wrong := self._misnamed([name for name in kwargs if name not in self.names], [*self.names, *kwargs]):
            return wrong
        if len(args) > len(by_place):
            names = f" ({_quoted(by_place)})" if by_place else ""
            takes = f"{len(by_place)} argument{'' if len(by_place) == 1 else 's'} by place{names}"
            return f" takes {takes}, {len(args)} {'is' if len(args) == 1 else 'are'} given"
        if twice := [name for name in given if name in kwargs]:
            return f" gets {_quoted(twice)} twice, by place and by name"
        return self._misnamed([], [*given, *kwargs])

    def _misnamed(self, extra: list[str], given: Collection[str]) -> str:
        """What is wrong with the names of arguments: unknown ones first, then missing ones; "" where nothing is."""
        if extra and self.more is None:
            return f" takes no {_quoted(extra)}{_meant(extra[0], self.names)} (it takes: {', '.join(self.names) or 'nothing'})"
        missing = [name for name in self._required if name not in given]
        return f" needs {_quoted(missing)}" if missing else ""

    def _extra(self, job: Mapping[str, Any]) -> dict[str, Any]:
        extra = {name: value for name, value in job.items() if name not in self.names and name != "job_id" and not name.startswith("@")}
        try:
            return msgspec.convert(extra, dict[str, self.more], dec_hook=from_plain)  # type: ignore[name-defined]
        except _UNREADABLE as error:
            raise self._bad(job, f": {envelope.readable(error)}") from None

    def _bad(self, job: Mapping[str, Any], message: str) -> Refused:
        return Refused("bad_arguments", self._said(message), job.get("job_id", ""), self.task)

    def _said(self, message: str) -> str:
        return f"task {self.task}{message}"


def to_plain(value: Any) -> Any:
    """What the encoder does not know: a pydantic model."""
    if dump := getattr(type(value), "model_dump", None):
        return dump(value, mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON")


_encoder = msgspec.json.Encoder(enc_hook=to_plain)
_encode = _encoder.encode


def from_plain(kind: Any, value: Any) -> Any:
    """What the decoder does not know: a pydantic model."""
    return kind.model_validate(value)


def _writable(value: Any) -> bool:
    try:
        msgspec.json.encode(value, enc_hook=to_plain)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False
    return True


def _attribute(place: int, name: str) -> str:
    """Where the struct keeps a parameter. A parameter `job_id` is the job's own id."""
    return name if name == "job_id" else f"p{place}"


def _struct(task: str, parameters: list[inspect.Parameter], types: list[Any]) -> type[Head]:
    """Our fields and the parameters. Parameters get attribute names of their own, so none can collide with anything of ours."""
    fields: list[Any] = []
    rename = dict(zip(Head.__struct_fields__, Head.__struct_encode_fields__, strict=True))
    for place, (each, kind) in enumerate(zip(parameters, types, strict=True)):
        attribute, default = _attribute(place, each.name), each.default
        rename[attribute] = each.name
        if attribute in Head.__struct_fields__:
            continue
        if default is _Kind.empty:
            fields.append((attribute, kind))
        else:
            fields.append((attribute, kind, msgspec.field(default_factory=partial(_same, default))))
    # gc=False: nothing that is read from JSON is part of a cycle, and one is made for each job
    made = msgspec.defstruct(f"Job of {task}", fields, bases=(Head,), rename=rename, forbid_unknown_fields=True, kw_only=True, gc=False)
    return cast(type[Head], made)


def _same(default: Any) -> Any:
    """A parameter's default, shared by all calls as in Python itself."""
    return default


def _hints(fn: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(fn, include_extras=True)
    except NameError as error:
        raise _unfit(fn, f"{error} in its annotations, when the module is imported") from None
    except TypeError:
        raise _unfit(fn, f"it is an object of {type(fn).__name__}, not a function; write a def that calls it") from None


def _check_function(fn: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function that can be a task. Raises TypeError for any other, which says what to write."""
    if _name(fn) == "<lambda>":
        raise TypeError("a lambda cannot be registered as a task: it has no name; write a def")
    if inspect.isclass(fn):
        raise _unfit(fn, "it is a class; write a def that makes use of it")
    try:
        signature = inspect.signature(fn)
    except ValueError:
        raise _unfit(fn, "Python does not tell its parameters; write a def that calls it") from None
    code = getattr(inspect.unwrap(fn), "__code__", None)
    if code is not None and code.co_freevars:
        names = _quoted(code.co_freevars)
        raise _unfit(fn, f"it uses {names} of the function around it, which a worker has not; define it at the top of a module")
    owner = getattr(fn, "__qualname__", "").rpartition(".")[0]
    if owner and not owner.endswith("<locals>") and next(iter(signature.parameters), "") in ("self", "cls"):
        raise _unfit(fn, f"it is a method of {owner.rpartition('.')[2]}, and a job brings no object; define it at the top of a module")
    for each in signature.parameters.values():
        if each.kind is _Kind.VAR_POSITIONAL:
            raise _unfit(fn, f"a job names its arguments, so *{each.name} cannot be filled")
    return signature


def _unfit(fn: Callable[..., Any], why: str) -> TypeError:
    return TypeError(f"task {_name(fn)} cannot be registered: {why}")


def _check_types(fn: Callable[..., Any], types: Mapping[str, Any]) -> None:
    for name, kind in types.items():
        try:
            msgspec.json.Decoder(kind)
            known = msgspec.inspect.type_info(kind)
        except (TypeError, ValueError) as error:
            raise _unfit(fn, f"{name}: {kind} cannot be read from JSON ({error})") from None
        if isinstance(known, msgspec.inspect.CustomType) and not hasattr(known.cls, "model_validate"):
            raise _unfit(fn, f"{name}: {known.cls.__name__} cannot be read from JSON")


def _result_type(returns: Any) -> Any:
    """The annotation, where a result can be converted to it; else anything."""
    if returns in (None, inspect.Signature.empty) or typing.get_origin(returns) in (AsyncIterator, Iterator):
        return Any
    try:
        msgspec.json.Decoder(returns)
    except (TypeError, ValueError):
        return Any
    return returns


def _meant(word: str, known: tuple[str, ...]) -> str:
    close = likest(word, known)
    return f' - did you mean "{close}"?' if close else ""


def _quoted(names: Any) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _name(fn: Callable[..., Any]) -> str:
    return getattr(fn, "__name__", repr(fn))
