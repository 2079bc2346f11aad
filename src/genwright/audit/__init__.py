"""Audits: which groups data hold, which groups a model makes, what a mitigation changed."""
