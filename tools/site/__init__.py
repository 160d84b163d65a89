"""The documents as a web site, built without network: ``make site``."""
