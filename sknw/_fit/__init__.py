"""Fits below the estimators: functions of a problem and an algorithm, of queries, and of what to do beyond reach."""
