"""OpenIM's wire format: its protobuf messages, its numbers and names, and pure functions on the messages' bytes.

This room is a leaf: it imports no other room of greenroom, so every room may use it.
"""
