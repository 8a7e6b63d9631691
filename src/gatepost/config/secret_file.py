"""Read a secret, such as a password, from the first line of a file.

Security: no error contains any part of the file.
"""

from pathlib import Path

from gatepost.model.secret import Secret

# Longer than any password, so that a wrong file is detected.
MAX_SECRET = 1024


def read_secret(path: Path, what: str = "secret") -> Secret:
    """Return the first line of a file; raises ValueError. `what` names the secret in errors."""
    try:
        with path.open(encoding="utf-8") as file:
            line = file.readline(MAX_SECRET + 2).rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected UTF-8") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError:
        raise ValueError(f"{path}: expected a file name without NUL") from None
    if not 0 < len(line) <= MAX_SECRET or "\0" in line:
        raise ValueError(f"{path}: expected a {what} of 1 to {MAX_SECRET} characters")
    return Secret(line)
