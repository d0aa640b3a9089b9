"""The vocabulary of the wire: OpenIM's protobuf messages, and pure functions on their bytes.

This room is a leaf: it imports nothing else of greenroom, so every room may use it.
"""
