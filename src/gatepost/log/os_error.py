"""Operating-system errors as text for the administrator."""


def describe_os_error(error: OSError) -> str:
    """Return the file, if the error names one, and the system's message."""
    message = error.strerror or str(error)
    return f"{error.filename}: {message}" if error.filename else message
