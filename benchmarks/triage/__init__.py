"""Triage on ten labelled reviews: orders, stopping rules, speed, beside ASReview."""
