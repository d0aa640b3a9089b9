"""The client side: a device of one user, the HTTP API as callers see it, and what they can meet.

Nothing is imported here: the command line needs the errors, a node nothing.
"""
