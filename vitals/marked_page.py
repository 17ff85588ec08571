"""Pages of docs/ that hold a table made from the code, between two marks."""

from pathlib import Path

from vitals.errors import UserError

END = "<!-- Until here. -->\n"


def with_table(page: str, begin: str, table: str, name: str = "The page") -> str:
    """A page's text that has the table between the line `begin` and `END`. `name` is what an error calls it.

    Raises:
        UserError: the page has no such lines.

    >>> with_table("Before.\\n<!-- Made. -->\\nold\\n<!-- Until here. -->\\nAfter.\\n", "<!-- Made. -->\\n", "new\\n")
    'Before.\\n<!-- Made. -->\\n\\nnew\\n\\n<!-- Until here. -->\\nAfter.\\n'
    """
    before, found, rest = page.partition(begin)
    _, end, after = rest.partition(END)
    if not found or not end:
        raise UserError(f"{name} has no place for the table: no line {begin.strip()} with {END.strip()} after it.")
    return f"{before}{begin}\n{table}\n{END}{after}"


def write_table(path: Path, begin: str, table: str) -> None:
    """Renews the table of a page.

    Raises:
        UserError: the page cannot be read or written, or has no place for the table.
    """
    try:
        path.write_text(with_table(path.read_text(), begin, table, str(path)))
    except OSError as error:
        raise UserError(f"{path} cannot be renewed: {error.strerror}.") from error
