"""RapidJSON's grammar to the letter, with its messages; no recursion, so any depth."""

import re
from typing import Any

from mtlzoo.serving._errors import ServingError, invalid

_SPACE = re.compile(rb"[ \t\n\r]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_INTEGER = re.compile(rb"-?(?:0|[1-9]\d*)")
_FRACTION = re.compile(rb"\.\d+")
_EXPONENT = re.compile(rb"[eE][+-]?\d+")
_HEX = re.compile(rb"[0-9a-fA-F]{4}")
_NOT_FINITE = re.compile(rb"(-?)(NaN|Inf(?:inity)?)")
_WORDS = {b"n": (b"null", None), b"t": (b"true", True), b"f": (b"false", False)}
_ESCAPES = {
    **{bytes([byte]): bytes([byte]) for byte in b'"\\/'},
    **{b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"},
}
_DIGITS_OF_DOUBLE = 309
MAX_NESTING = 1_000_000
"""Levels of lists and objects; each takes memory, and a byte of a body can open one."""
_MISS_NAME = "Missing a name for object member."
_INVALID = "Invalid value."


def parse_exactly(body: bytes) -> Any:
    """Return the first JSON value in `body`, without a byte order mark.

    Raises:
        ServingError: it is no JSON, or nested deeper than `MAX_NESTING`.
    """
    return _Parser(body).document()


class _Parser:
    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0

    def document(self) -> Any:
        if not self.body:
            raise invalid("JSON Parse error: The document is empty")
        if self._peek() in (b"", b"]", b"}", b",", b":"):
            raise self._error("The document is empty.")
        # Each open list or object with the key that its next value goes to.
        root: list[Any] = []
        stack: list[tuple[Any, str]] = [(root, "")]
        while stack:
            container, key = stack[-1]
            opened = self._value_or_opened()
            self._put(container, key, opened)
            if isinstance(opened, (list, dict)):
                if len(stack) > MAX_NESTING:
                    raise invalid(
                        "JSON Parse error: The document is nested deeper than "
                        f"{MAX_NESTING} levels."
                    )
                stack.append((opened, ""))
                if self._first(stack):
                    continue
            while len(stack) > 1 and not self._next(stack):
                stack.pop()
            if len(stack) == 1:
                return root[0]
        return root[0]

    def _put(self, container: Any, key: str, value: Any) -> None:
        if isinstance(container, list):
            container.append(value)
        else:
            container.setdefault(key, value)

    def _value_or_opened(self) -> Any:
        token = self._peek()
        if token == b"[":
            self.at += 1
            return []
        if token == b"{":
            self.at += 1
            return {}
        if token == b'"':
            return self._string()
        if token in _WORDS:
            return self._word(*_WORDS[token])
        return self._number()

    def _first(self, stack: list[tuple[Any, str]]) -> bool:
        """Go to the first value of what was just opened; False when it is empty."""
        container, _ = stack[-1]
        closing = b"]" if isinstance(container, list) else b"}"
        if self._peek() == closing:
            return False
        if isinstance(container, dict):
            stack[-1] = (container, self._key())
        elif self._peek() in (b"", b"}", b",", b":"):
            raise self._error(_INVALID)
        return True

    def _next(self, stack: list[tuple[Any, str]]) -> bool:
        """Go to the next value of the innermost container; False when it is closed."""
        container, _ = stack[-1]
        is_list = isinstance(container, list)
        token = self._peek()
        if token == (b"]" if is_list else b"}"):
            self.at += 1
            return False
        if token != b",":
            raise self._error(
                "Missing a comma or ] after an array element."
                if is_list
                else "Missing a comma or '}' after an object member."
            )
        self.at += 1
        if not is_list:
            stack[-1] = (container, self._key())
        elif self._peek() in (b"", b"]", b"}", b",", b":"):
            raise self._error(_INVALID)
        return True

    def _key(self) -> str:
        if self._peek() != b'"':
            raise self._error(_MISS_NAME)
        key = self._string()
        if self._peek() != b":":
            raise self._error("Missing a colon after a name of object member.")
        self.at += 1
        if self._peek() in (b"", b"]", b"}", b",", b":"):
            raise self._error(_INVALID)
        return key

    def _word(self, word: bytes, value: Any) -> Any:
        for offset in range(len(word)):
            if self.body[self.at + offset : self.at + offset + 1] != word[offset:][:1]:
                raise self._error(_INVALID, self.at + offset)
        self.at += len(word)
        return value

    def _number(self) -> Any:
        start = self.at
        special = _NOT_FINITE.match(self.body, start)
        if special:
            self.at = special.end()
            return float(special[0])
        whole = _INTEGER.match(self.body, start)
        if whole is None:
            raise self._error(_INVALID, start + self.body.startswith(b"-", start))
        self.at = whole.end()
        is_float = False
        for sign, pattern, missing in (
            (b".", _FRACTION, "Miss fraction part in number."),
            (b"eE", _EXPONENT, "Miss exponent in number."),
        ):
            following = self.body[self.at : self.at + 1]
            if not following or following not in sign:
                continue
            part = pattern.match(self.body, self.at)
            if part is None:
                signed = self.body[self.at + 1 : self.at + 2] in (b"+", b"-")
                raise self._error(missing, self.at + 1 + (signed and sign == b"eE"))
            self.at = part.end()
            is_float = True
        digits = self.body[start : self.at]
        if is_float or len(digits) > _DIGITS_OF_DOUBLE:
            value = float(digits)
            if value in (float("inf"), float("-inf")):
                raise self._error("Number too big to be stored in double.", start)
            return value
        return int(digits)

    def _string(self) -> str:
        self.at += 1
        parts = []
        while True:
            plain = _PLAIN.match(self.body, self.at)
            if plain:
                parts.append(plain[0])
                self.at = plain.end()
            stop = self.body[self.at : self.at + 1]
            if stop == b'"':
                self.at += 1
                return b"".join(parts).decode("utf-8", "surrogateescape")
            if stop != b"\\":
                raise self._error(
                    "Invalid escape character in string."
                    if stop.strip(b"\0")
                    else "Missing a closing quotation mark in string."
                )
            parts.append(self._escape())

    def _escape(self) -> bytes:
        start = self.at
        kind = self.body[start + 1 : start + 2]
        self.at += 2
        if kind in _ESCAPES:
            return _ESCAPES[kind]
        if kind != b"u":
            raise self._error("Invalid escape character in string.", start)
        unit = self._hex(start)
        if 0xD800 <= unit <= 0xDFFF:
            low = 0
            if unit < 0xDC00 and self.body.startswith(b"\\u", self.at):
                self.at += 2
                low = self._hex(start)
            if not 0xDC00 <= low <= 0xDFFF:
                raise self._error("The surrogate pair in string is invalid.", start)
            unit = 0x10000 + ((unit - 0xD800) << 10) + low - 0xDC00
        return chr(unit).encode()

    def _hex(self, start: int) -> int:
        digits = _HEX.match(self.body, self.at)
        if digits is None:
            raise self._error("Incorrect hex digit after \\u escape in string.", start)
        self.at = digits.end()
        return int(digits[0], 16)

    def _peek(self) -> bytes:
        space = _SPACE.match(self.body, self.at)
        if space:
            self.at = space.end()
        return self.body[self.at : self.at + 1]

    def _error(self, problem: str, offset: int | None = None) -> ServingError:
        at = self.at if offset is None else offset
        return invalid(f"JSON Parse error: {problem} at offset: {at}")
