"""The course's data: small real image sets, photos, facts with sources, stored runs."""
