"""The client: one device of a user over WebSocket, and the HTTP API.

Nothing is imported here, because the command line needs only the errors, and a node needs nothing.
"""
