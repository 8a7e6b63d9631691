"""What the system says is wrong, as the administrator reads it."""


def reason(error: OSError) -> str:
    """Return what is wrong, after the file if the error names one."""
    what = error.strerror or str(error)
    return f"{error.filename}: {what}" if error.filename else what
