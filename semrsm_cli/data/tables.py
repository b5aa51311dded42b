"""CSV files that the user brings."""

import csv
from pathlib import Path

from semrsm_cli.errors import SemrsmError

__all__ = ["read_csv"]


def read_csv(path: Path, required: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with their line numbers, cells stripped, missing cells empty.

    Args:
        path: The file; its first line names the columns.
        required: Columns that it must have.

    Returns:
        For each row the number of its last line, and its cells by column.

    Raises:
        SemrsmError: The file cannot be read, or lacks a required column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            columns = reader.fieldnames or []
            rows = [
                (reader.line_num, {name: (cell or "").strip() for name, cell in row.items() if name}) for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SemrsmError(f"{path} cannot be read as CSV: {getattr(error, 'strerror', None) or error}") from error
    lacking = [name for name in required if name not in columns]
    if lacking:
        raise SemrsmError(f"{path} lacks the column {lacking[0]!r}; its first line must name {', '.join(required)}")
    return rows
