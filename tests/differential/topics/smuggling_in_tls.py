"""The rows of `smuggling` after STARTTLS."""

from tests.differential.row import IN_STEPS
from tests.differential.topics import smuggling
from tests.differential.topics.starttls import SECURED

SERVER = "starttls"
CUTS = IN_STEPS

ROWS = [row._replace(after=(*SECURED, *row.after), only="smtp") for row in smuggling.ROWS]
