"""The vocabulary of the wire: OpenIM's protobuf messages, and pure functions on their bytes.

A leaf: nothing here imports the rest of greenroom, so every room may use it.
"""
