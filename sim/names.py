"""Names of persons, roles and words for the addresses of a simulated site."""

from __future__ import annotations

_FIRST = """
adam agnes alan albert alice amanda andrew anna arthur barbara bella ben bert brian carla carol
chris clara colin daisy david diana doris edgar edith eileen elsa emma eric erwin fanny felix
fiona frank george gina grace harold helen henry ida irene isaac jack jane joan john julia karl
kate keith laura leo linda lucy martin mary max mona nadia nick nina nora oliver olga oscar otto
pamela paul peter petra rachel ralph rita robert rosa ruth sam sara simon sophie steven susan
theo thomas tina ursula vera victor walter wendy
"""

_LAST = """
abbot adler archer baker barlow becker bennett bishop brewer carter chandler clark cooper crane
dalton dawson draper dyer ellis falk farmer fisher fletcher forster gardner glover graves hale
harper hayes holt hunter jensen keller kent kramer lang larsen lindgren lowe mason mercer miller
moore nash norris olsen palmer parker pearce porter potter quinn ramsey reeves sadler sawyer
schmidt shepherd slater spencer stone sutton tanner taylor thorne turner tyler vogel wagner
walker ward weaver webb weber winter wolf wood york zeller
"""

_ROLES = """
accounts billing careers contact hr info jobs marketing office orders press sales service shop
support team
"""

FIRST = tuple(_FIRST.split())
LAST = tuple(_LAST.split())
ROLES = tuple(_ROLES.split())
