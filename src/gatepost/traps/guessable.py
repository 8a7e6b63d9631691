"""Local parts that any person can guess: roles, and words of at most four characters.

Such an address can be entered into a sign-up form by any person, to get an honest sender refused.
So as a trap it refuses only itself, unless its entry has `spoil=yes`, or no class at all.

Full stops, hyphens and underscores in a local part do not count.

Limits: names of persons and words of a dictionary are not recognised.
"""

SHORT = 4

_ROLES = """
about abuse account accountant accounting accounts admin administrator admissions ads advertising
alerts allstaff apps archive archives assistant audit backup billing board booking bookings
bookkeeping bounce bounces calendar career careers catalog ceo chair club comments commercial
community company compliance confirm contact contracts copyright customer customercare
customers customerservice daemon data demo design designer dev development director directors dns
domains donate download editor editorial education employment engineering enquiries enquiry errors
events export fax feedback finance firma frontdesk fundraising gdpr general group guest headoffice
hello help helpdesk home hosting hostmaster hotel humanresources import inbox information
inquiries inquiry internet investors invite invoice invoices jobs journal license list listserv
mail mailbox mailerdaemon maintenance management manager managers market marketing media member
members membership message moderator network networking news newsletter newsroom noreply
office online operations order orders owner owners partner partners payments payroll personal
postmaster press president principal privacy production programs projects publicity purchase
purchasing quality receipts reception recruit recruiting recruitment registrar registration reply
report reports request reservation reservations returns root sales scanner school secretariat
secretary security server service services shipping shop social spam sponsors staff store student
students submission submissions subscribe supplier suppliers support survey sysadmin system team
tech technical technology test tester testing tickets training travel treasurer unsubscribe user
users vendor verification volunteer warranty webadmin webmail webmaster website welcome wholesale
"""
ROLE_NAMES = frozenset(_ROLES.split())

_WITHOUT_SIGNS = str.maketrans("", "", ".-_")


def is_guessable(local: str) -> bool:
    """Return whether any person can guess a local part, given in lower case without its tag."""
    return len(local) <= SHORT or local.translate(_WITHOUT_SIGNS) in ROLE_NAMES
