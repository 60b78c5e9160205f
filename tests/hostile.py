"""Hostile files: what is read from a written one after it was truncated, had bits flipped, numbers made huge, words
and arrays made into something else; the deep changes with a digest that fits, so that they come past it.

``attack`` reads such files, in a process of its own for whatever may happen, and finds each of them either read, or
refused by a ``ValueError`` or ``OSError`` that says so in one short line, with no more memory than a multiple of what
the file takes. A loader joins by one entry in ``READERS`` of test_hostile.py.
"""

import copy
import faulthandler
import json
import math
import random
import resource
import struct
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from bpjit.common import files
from bpjit.maths.own import UnknownFormula

NUMBERS = [0, 1, -1, 2, 7, 255, 10**6, 10**9, 2**31 - 1, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64, -(2**63)]
FLOATS = [0.0, -0.0, 0.5, -1.0, 1e-320, 1e-30, 1e30, 1.7e308, -1e308, math.nan, math.inf, -math.inf]
NUMBERS += [10**30, -(10**30), 10**400, *FLOATS]
NAMES = ["", "x", "\0", "None", "nan", "1e999", "sigmoid", "softmax", "step", "elu", "elu(alpha=1e999)", "elu(alpha=)"]
NAMES += ["elu(" * 3000, "mine#0123456789abcdef", "huber(delta=nan)", "adam", "lbfgs", "sgd", "parent", "__class__"]
NAMES += ["é网\n\u2028", "\ud800", "9" * 5000, "a" * 50_000, "{0}", "%s", "../../x", "date", "EarlyStopping"]
VALUES = [*NUMBERS, *NAMES, None, True, False, [], {}, [[]], [None], [0] * 5000, {"": None}, {"date": "x"}]
TEXTS = ["", "[", "{", "nul", "-", "NaN", "1e999", "9" * 5000, "[" * 50_000, '{"a":' * 50_000, '"\\ud800"', "[1,]"]
TEXTS += ["[" * 50_000 + "]" * 50_000, '{"a": 1, "a": 2}', "\x00", "[10000000000, 1]", "[1000000000, 1]", "[0, 0]"]
DTYPES = ["F64", "F32", "F16", "BF16", "F8_E4M3", "I64", "U64", "U8", "BOOL", "C64", "F99", "", None, 8]
MORE_TIMES_THE_FILE, MORE = 40, 1 << 20  # bytes of memory that reading may take: JSON becomes objects
MOST_SECONDS = 5  # of a core for one file; none takes a tenth of that
LONGEST = 700  # letters of an error


# --- Bytes.


def bent(die, data):
    """Bytes, damaged anywhere."""
    data, kind = bytearray(data), die.randrange(6)
    place, length = die.randrange(len(data)), die.choice((1, 2, 8, 100))
    if kind == 0:
        del data[place:]
    elif kind == 1:
        for _ in range(die.choice((1, 1, 2, 20))):
            data[die.randrange(len(data))] ^= 1 << die.randrange(8)
    elif kind == 2:
        del data[place : place + length]
    elif kind == 3:
        data[place:place] = die.randbytes(length)
    elif kind == 4:
        data[place : place + length] = die.choice((b"\0", b"\xff", b"[", b"9")) * length
    else:
        data += data[place:]
    return bytes(data)


def with_header(die, data):
    """A safetensors file whose header says something else of the same numbers."""
    (length,) = struct.unpack("<Q", data[:8])
    header, rest = data[8 : 8 + length], data[8 + length :]
    kind = die.randrange(5)
    if kind == 0:
        claimed = die.choice((0, 1, length - 1, length + 1, len(data), 10**8, 10**10, 2**40, 2**62, 2**63, 2**64 - 1))
        return struct.pack("<Q", claimed) + header + rest
    if kind == 1:
        changed = die.choice((bent(die, header), die.choice(TEXTS).encode(), header.replace(b'"', b'"\xff', 5)))
    elif kind == 2:
        changed = header[:-1].rstrip() + b", " + header.lstrip()[1:]  # everything twice
    else:
        said = json.loads(header)
        tensor = said[die.choice([name for name in said if name != "__metadata__"])]
        part = die.choice(("dtype", "shape", "data_offsets", "all"))
        if part == "dtype":
            tensor["dtype"] = die.choice(DTYPES)
        elif part == "all":
            said = changed_json(die, said)
        else:
            tensor[part] = changed_json(die, tensor[part])
        changed = json.dumps(said).encode()
    return struct.pack("<Q", len(changed)) + changed + rest


# --- Words.


def changed_json(die, value, depth=0):
    """The same with something else somewhere in it."""
    value = copy.deepcopy(value)
    if isinstance(value, (list, dict)) and value and die.random() < 0.85:
        place = die.choice(list(value) if isinstance(value, dict) else range(len(value)))
        kind = die.random()
        if kind < 0.6:
            value[place] = changed_json(die, value[place], depth + 1)
        elif kind < 0.75:
            del value[place]
        elif isinstance(value, dict):
            value[die.choice(NAMES)] = value.pop(place) if kind < 0.9 else die.choice(VALUES)
        elif kind < 0.9:
            value.insert(place, die.choice((value[place], die.choice(VALUES))))
        else:
            value *= die.choice((2, 50))
        return value
    if isinstance(value, (int, float)) and die.random() < 0.6:
        return die.choice((*NUMBERS, value + 1, value - 1, -value, value * 1000, [value]))
    if die.random() < 0.1:
        for _ in range(die.choice((3, 300))):
            value = [value]
        return value
    return die.choice(VALUES)


def changed_text(die, text):
    """A word of a file, which most often is JSON."""
    if die.random() < 0.15:
        return die.choice(TEXTS)
    try:
        return json.dumps(changed_json(die, json.loads(text)))
    except (ValueError, RecursionError):
        return die.choice([name for name in NAMES if name != "\ud800"])


# --- Arrays.


def changed_array(die, array):
    """The same with other numbers, of another shape or another dtype."""
    if array.dtype == np.uint8 and array.ndim == 1 and die.random() < 0.7:  # words that are too long to be among words
        try:
            text = array.tobytes().decode()
            return np.frombuffer(changed_text(die, text).encode(), np.uint8)
        except UnicodeError:
            pass
    kind = die.randrange(5)
    if kind == 0:
        array = array.copy()
        numbers = FLOATS if array.dtype.kind == "f" else [0, 1, -1, 2, 100, 2**31 - 1, 2**62, -(2**62)]
        with np.errstate(all="ignore"):
            places = die.choice((slice(None), slice(die.randrange(array.size + 1), None, die.choice((1, 3)))))
            array.reshape(-1)[places] = np.array(die.choice(numbers)).astype(array.dtype)
    elif kind == 1:
        shapes = [(-1,), (1, -1), (-1, 1), (1, 1, -1), array.shape[::-1]]
        array = array.reshape(die.choice(shapes)) if array.size else array[None]
    elif kind == 2:
        with np.errstate(all="ignore"):
            array = array.astype(die.choice(("f8", "f4", "f2", "i8", "u8", "i4", "u1", "?")))
    elif kind == 3:
        array = die.choice((array[:0], array[:-1], array[..., :0], array[..., 1:], array[:1])) if array.ndim else array
    else:
        array = np.concatenate([array, array]) if array.ndim else np.array([array] * 2)
    return array


def signed(die, words, tensors):
    """A file of other words and arrays that its own digest fits."""
    words, tensors = dict(words), dict(tensors)
    for _ in range(die.choice((1, 1, 1, 2, 5))):
        names = [name for name in words if name not in ("format", "version", "digest")]
        name, array = die.choice(names), die.choice(list(tensors))
        kind = die.random()
        if kind < 0.5:
            words[name] = changed_text(die, words[name])
        elif kind < 0.55 and len(names) > 1:
            del words[name]
        elif kind < 0.85:
            tensors[array] = changed_array(die, tensors[array])
        elif kind < 0.9:
            tensors[die.choice(list(tensors))] = tensors[array]
        elif kind < 0.95 and len(tensors) > 1:
            del tensors[array]
        else:
            tensors[die.choice(("more", "weights.99", "scale.input_offset", "scales.input_factor", ""))] = tensors[
                array
            ]
    words.pop("digest", None)
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    return safetensors.numpy.save(tensors, metadata=words | {"digest": files.digest(words, tensors)})


# --- Reading them.


def hostile_files(path, cases, seed):
    """So many of them, made of one that ``bpjit.common.files`` wrote."""
    die, data = random.Random(seed), path.read_bytes()
    with safetensors.safe_open(path, "numpy") as file:
        tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        words = dict(sorted(file.metadata().items()))
    for case in range(cases):
        if case % 8 < 2:
            yield bent(die, data)
        elif case % 8 < 4:
            yield with_header(die, data)
        else:
            yield signed(die, words, tensors)


def attack(path, load, cases, seed=0):
    """Let ``load(path)`` read that many hostile versions of the file; returns how many it refused. ``path`` holds the
    last one afterwards."""
    refused = 0
    load(path)  # what is imported and compiled is no part of it
    for case, data in enumerate(hostile_files(path, cases, seed)):
        path.write_bytes(data)
        refused += was_refused(load, path, f"case {case} of seed {seed}", len(data), "path")
    return refused


def attack_objects(make, take, argument, cases, seed=0):
    """The same of objects: ``make(die)`` makes a hostile one, ``take`` takes it."""
    die, refused = random.Random(seed), 0
    for case in range(cases):
        given = make(die)
        refused += was_refused(take, given, f"case {case} of seed {seed}", 100_000, argument)
    return refused


def was_refused(take, given, case, size, argument):
    """Whether a call that takes so many bytes refuses them by an error that names the argument; ``AssertionError`` for
    any other end. A file is never a matter of types."""
    most = MORE + MORE_TIMES_THE_FILE * size
    faulthandler.dump_traceback_later(60 * MOST_SECONDS, exit=True)
    start = time.process_time()
    error, peak = measured(take, given)
    if peak > most:  # if it was not that something was imported
        error, peak = measured(take, given)
    seconds = time.process_time() - start
    faulthandler.cancel_dump_traceback_later()
    assert peak <= most, f"{case}: took {peak:,} bytes for {size:,}"
    assert seconds <= MOST_SECONDS, f"{case}: took {seconds:.1f} s"
    if error is None:
        return False
    allowed = ValueError, OSError if argument == "path" else TypeError
    text = str(error)
    told = text.startswith((f"{argument}: ", f"{argument}[")) or isinstance(error, UnknownFormula)
    if not isinstance(error, allowed) or not told or len(text) > LONGEST or not text.isprintable():
        raise AssertionError(f"{case}: {type(error).__name__}: {text[:LONGEST]!r}") from error
    return True


def measured(take, given):
    """(the error of a call, or None; the most memory that it took, in bytes)"""
    tracemalloc.start()
    try:
        with warnings.catch_warnings(action="error"):
            take(given)
        error = None
    except BaseException as raised:
        error = raised
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return error, peak


def fence(more=1 << 30):
    """Let this process take no more than so many bytes beyond what it has."""
    if not Path("/proc/self/statm").exists():
        return
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    most = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
