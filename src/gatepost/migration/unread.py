"""Files of a configuration that were not used, so that none is left out silently."""

from gatepost.migration.job import Job

MOST_FILES = 200


def report_unread(job: Job) -> None:
    """Record the files in the first folder that nothing has read, and no list will read.

    A file that has another finding is left out.
    """
    source = job.source
    used = {*source.paths, *(source.find(one.source) for one in job.draft.lists)}
    try:
        paths = sorted(source.folders[0].iterdir())
    except OSError:
        return
    places = source.findings.places()
    visible = (one for one in paths if not one.name.startswith("."))
    unread = [one for one in visible if one not in used and source.shown(one) not in places]
    for path in unread[:MOST_FILES]:
        source.findings.left(source.shown(path), "not used: no plugin that was taken over has it")
    if len(unread) > MOST_FILES:
        text = f"{len(unread) - MOST_FILES} more files were not used"
        source.findings.left(source.shown(source.folders[0]), text)
