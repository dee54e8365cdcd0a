"""Options whose value is a JSON object."""

from typing import Any

import msgspec

from jobtrail.errors import UserError


def json_object(text: str, option: str) -> dict[str, Any]:
    """The object in the text of an option.

    Strict: what Python's own parser lets through, such as NaN or half a surrogate pair, nobody could send on.

    Raises:
        Refused: it is no JSON, no object, or nests too deeply.
    """
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.ValidationError as error:
        raise UserError(f"{option} must be a JSON object with values that JSON knows: {error}") from None
    except msgspec.DecodeError as error:
        raise UserError(f"{option} is no JSON: {error}") from None
    except UnicodeEncodeError:
        raise UserError(f"{option} is no JSON: it holds bytes that are not UTF-8") from None
    except RecursionError:
        raise UserError(f"{option} nests too deeply") from None
