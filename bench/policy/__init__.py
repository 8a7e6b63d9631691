"""The cost of a full policy: SPF, DKIM, DMARC, four DNS lists, greylisting, reputation."""
