"""Teaches papermill to write parameters in TypeScript. Importing it is enough; papermill does so by the entry point."""

import json
import math
import re

from papermill.engines import NBClientEngine as Engine
from papermill.exceptions import PapermillException
from papermill.models import Parameter
from papermill.translators import Translator, papermill_translators

__all__ = ["Engine", "TypeScriptTranslator"]

# Beyond it a TypeScript number is no longer exact.
_MAX_SAFE_INTEGER = 2**53 - 1

_NAME = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")

# `const name: type = value; // help`, on one line.
_DECLARATION = re.compile(
    r"^\s*(?:export\s+)?(?:const|let|var)\s+(?P<name>[\w$]+)\s*(?::\s*(?P<type>.*?)\s*)?"
    r"=(?!=|>)\s*(?P<default>.*?)\s*;?\s*(?://\s*(?P<help>.*))?$"
)


class TypeScriptTranslator(Translator):
    """Python values as TypeScript source."""

    @classmethod
    def translate_none(cls, val):
        return "null"

    @classmethod
    def translate_int(cls, val):
        return f"{val}n" if abs(val) > _MAX_SAFE_INTEGER else str(val)

    @classmethod
    def translate_float(cls, val):
        if math.isnan(val):
            return "NaN"
        if math.isinf(val):
            return "Infinity" if val > 0 else "-Infinity"
        return repr(val)

    @classmethod
    def translate_escaped_str(cls, str_val):
        # JSON in ASCII is TypeScript, U+2028 and lone surrogates included.
        return json.dumps(str(str_val))

    @classmethod
    def translate_dict(cls, val):
        # Written plainly or quoted, `__proto__` would set the prototype.
        entries = [
            ("[\"__proto__\"]" if key == "__proto__" else cls.translate_escaped_str(key)) + f": {cls.translate(entry)}"
            for key, entry in val.items()
        ]
        return f"{{{', '.join(entries)}}}"

    @classmethod
    def translate_list(cls, val):
        return f"[{', '.join(cls.translate(entry) for entry in val)}]"

    @classmethod
    def comment(cls, cmt_str):
        return f"// {cmt_str}".strip()

    @classmethod
    def assign(cls, name, str_val):
        if not _NAME.fullmatch(name):
            raise PapermillException(f"'{name}' cannot be the name of a parameter in TypeScript.")
        return f"let {name}: any = {str_val};"

    @classmethod
    def inspect(cls, parameters_cell):
        found = filter(None, map(_DECLARATION.match, parameters_cell["source"].splitlines()))
        return [
            Parameter(
                name=declaration["name"],
                inferred_type_name=declaration["type"] or "None",
                default=declaration["default"],
                help=declaration["help"] or "",
            )
            for declaration in found
        ]


papermill_translators.register("typescript", TypeScriptTranslator)
