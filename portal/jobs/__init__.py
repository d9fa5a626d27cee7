"""What happens in the background: thin, idempotent, each job a call of one service.

Jobs that the clock rings for import their service when they run, so that the process that only rings stays small.
"""
