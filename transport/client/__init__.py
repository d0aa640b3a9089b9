"""The client: one device of a user over WebSocket, and the HTTP API.

This file imports nothing, because the command line needs only the errors, and a node needs none of it.
"""
